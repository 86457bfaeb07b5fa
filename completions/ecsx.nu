# Completion of ecsx for nushell. What it knows it asks `ecsx __complete`.
# Other programs keep the completer that was set before.
let others = $env.config.completions?.external?.completer?
$env.config.completions.external.enable = true
$env.config.completions.external.completer = {|spans|
    if ($spans | first | path basename | path parse | get stem) == 'ecsx' {
        let option = $spans | last | parse --regex '^(?<option>-[^=]*=)' | get option.0? | default ''
        ^ecsx __complete ...($spans | skip 1) e> (if $nu.os-info.name == 'windows' { 'NUL' } else { '/dev/null' })
        | lines
        | where $it !~ '^:\d+$'
        | each {|line|
            let parts = $line | split row --number 2 "\t"
            {value: $"($option)($parts.0)", description: ($parts.1? | default '')}
        }
    } else if $others != null {
        do $others $spans
    }
}
