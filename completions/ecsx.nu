# Completion of ecsx for nushell. What it knows it asks `ecsx __complete`.
# Other programs keep the completer that was set before.
let others = $env.config.completions?.external?.completer?
$env.config.completions.external.enable = true
$env.config.completions.external.completer = {|spans|
    if ($spans | first | path basename | path parse | get stem) == 'ecsx' {
        # A word in quotes is asked for without them.
        let words = $spans | skip 1 | each { str trim --char "'" | str trim --char '"' }
        let option = $words | last | default '' | parse --regex '^(?<option>-[^=]*=)' | get option.0? | default ''
        let nowhere = if $nu.os-info.name == 'windows' { 'NUL' } else { '/dev/null' }
        let answer = ^ecsx __complete ...$words e> $nowhere | lines
        let directive = $answer | last | str replace ':' '' | into int
        let candidates = $answer | drop | each {|line|
            let parts = $line | split row --number 2 "\t"
            let word = $"($option)($parts.0)"
            # nushell puts it on the line as it is: quote it, or it could say more than one word.
            let safe = $word =~ '^[\w./:=@%+-]+$'
            {value: (if $safe { $word } else { $word | to json }), description: ($parts.1? | default '')}
        }
        # null: nushell offers files.
        if ($candidates | is-empty) and ($directive | bits and 4) == 0 { null } else { $candidates }
    } else if $others != null {
        do $others $spans
    }
}
