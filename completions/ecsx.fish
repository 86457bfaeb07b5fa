# Completion of ecsx for fish. What it knows it asks `ecsx __complete`.
function __ecsx_complete
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (commandline -ct)
    # A word in quotes, perhaps open ones, is asked for without them.
    for quote in '' \' \"
        if set -l plain (string unescape -- "$current$quote")
            set current $plain
            break
        end
    end
    set -l option (string match -r -- '^-[^=]*=' "$current")
    set -l directive 0
    set -l found no
    for line in (command ecsx __complete $words "$current" 2>/dev/null)
        if string match -qr '^:\d+$' -- $line
            set directive (string sub -s 2 -- $line)
        else
            set found yes
            echo -- "$option$line"
        end
    end
    if test (math "floor($directive / 16) % 2") = 1
        __fish_complete_directories "$current"
    else if test $found = no -a (math "floor($directive / 4) % 2") = 0
        __fish_complete_path "$current"
    end
end
complete -c ecsx -f -k -a '(__ecsx_complete)'
