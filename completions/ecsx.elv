# Completion of ecsx for elvish. What it knows it asks `ecsx __complete`.
use re
use str

set edit:completion:arg-completer[ecsx] = {|@words|
    var option = ''
    if (re:match '^-[^=]*=' $words[-1]) {
        set option = (re:find '^-[^=]*=' $words[-1])[text]
    }
    var asked = $words[1..]
    var answer = []
    try {
        set answer = [((external ecsx) __complete $@asked 2>/dev/null)]
    } catch { }
    for line $answer {
        if (not (re:match '^:\d+$' $line)) {
            var parts = [(str:split &max=2 "\t" $line)]
            var value = $option$parts[0]
            if (== (count $parts) 2) {
                edit:complex-candidate $value &display=$parts[0]' ('$parts[1]')'
            } else {
                edit:complex-candidate $value
            }
        }
    }
}
