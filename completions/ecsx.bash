# Completion of ecsx for bash. What it knows it asks `ecsx __complete`.
_ecsx() {
    local words=() word rest=$COMP_LINE
    # bash splits words at : and = as well: put them together again, as they were typed.
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        if [[ ${#words[@]} -eq 0 || $rest == [[:space:]]* ]]; then
            words+=("$word")
        else
            words[${#words[@]}-1]+=$word
        fi
        rest=${rest#"${rest%%[![:space:]]*}"}
        rest=${rest#"$word"}
    done
    local current=${words[${#words[@]}-1]} option= kept= breaks=${COMP_WORDBREAKS//[^:=]/}
    [[ $current == -*=* ]] && option=${current%%=*}=
    # What bash is about to replace begins after the last : or =.
    [[ $breaks ]] && kept=${current%"${current##*[$breaks]}"}

    local line value directive=0
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line =~ ^:[0-9]+$ ]]; then
            directive=${line#:}
            continue
        fi
        value=$option${line%%$'\t'*}
        value=${value#"$kept"}
        # The second TAB only lists: there is room for the help.
        [[ $COMP_TYPE -eq 63 && $line == *$'\t'* ]] && value+="  (${line#*$'\t'})"
        [[ $value ]] && COMPREPLY+=("$value")
    done <<<"$(command ecsx __complete "${words[@]:1}" 2>/dev/null)"

    if ((directive & 2)); then compopt -o nospace; fi
    if ((directive & 32)); then compopt -o nosort; fi
    if ((directive & 16)); then
        compopt -o dirnames
    elif ((!(directive & 4))); then
        compopt -o default
    fi
} 2>/dev/null
complete -F _ecsx ecsx
