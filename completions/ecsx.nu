# Completion of ecsx for nushell. What it knows it asks `ecsx __complete`.
# Other programs keep the completer that was set before.
let others = $env.config.completions?.external?.completer?
$env.config.completions.external.enable = true
$env.config.completions.external.completer = {|spans|
    if ($spans | first | path basename | path parse | get stem) == 'ecsx' {
        let option = $spans | last | parse --regex '^(?<option>-[^=]*=)' | get option.0? | default ''
        let nowhere = if $nu.os-info.name == 'windows' { 'NUL' } else { '/dev/null' }
        let answer = ^ecsx __complete ...($spans | skip 1) e> $nowhere | lines
        let directive = $answer | last | str replace ':' '' | into int
        let candidates = $answer | drop | each {|line|
            let parts = $line | split row --number 2 "\t"
            {value: $"($option)($parts.0)", description: ($parts.1? | default '')}
        }
        # null: nushell offers files.
        if ($candidates | is-empty) and ($directive | bits and 4) == 0 { null } else { $candidates }
    } else if $others != null {
        do $others $spans
    }
}
