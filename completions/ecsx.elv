# Completion of ecsx for elvish. What it knows it asks `ecsx __complete`.
use re
use str

set edit:completion:arg-completer[ecsx] = {|@words|
    var current = $words[-1]
    var option = ''
    if (re:match '^-[^=]*=' $current) {
        set option = (re:find '^-[^=]*=' $current)[text]
    }
    var asked = $words[1..]
    var answer = [':4']
    try {
        set answer = [((external ecsx) __complete $@asked 2>/dev/null)]
    } catch { }
    # No candidates, and of cobra's directives not "no files" (4): 0 to 3, or directories (16).
    if (re:match '^:([0-3]|1[6-9])$' $answer[0]) {
        edit:complete-filename $current
    }
    for line $answer[..-1] {
        var parts = [(str:split &max=2 "\t" $line)]
        var value = $option$parts[0]
        if (== (count $parts) 2) {
            edit:complex-candidate $value &display=$parts[0]' ('$parts[1]')'
        } else {
            edit:complex-candidate $value
        }
    }
}
