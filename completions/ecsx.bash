# Completion of ecsx for bash. What it knows it asks `ecsx __complete`.

# Sets `plain` to the word $1 without its quotes, and `mark` to the quote that is still open.
# Nothing is expanded: nobody wants a command to run at TAB.
_ecsx_unquote() {
    local rest=$1 letter
    plain='' mark=''
    while [[ $rest ]]; do
        letter=${rest:0:1} rest=${rest:1}
        case $mark$letter in
        "''" | '""') mark='' ;;
        \' | \") mark=$letter ;;
        \\ | '"\') plain+=${rest:0:1} rest=${rest:1} ;;
        *) plain+=$letter ;;
        esac
    done
}

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
    local typed=${words[${#words[@]}-1]} asked=() plain mark kept='' breaks=${COMP_WORDBREAKS//[^:=]/}
    for word in "${words[@]:1}"; do
        _ecsx_unquote "$word"
        asked+=("$plain")
    done
    local option='' open=$mark
    [[ $plain == -*=* ]] && option=${plain%%=*}=
    # What bash is about to replace begins after an open quote, else after the last : or =.
    if [[ $open ]]; then
        _ecsx_unquote "${typed%"$open"*}"
        kept=$plain
    elif [[ $breaks ]]; then
        _ecsx_unquote "${typed%"${typed##*[$breaks]}"}"
        kept=$plain
    fi

    local line value directive=0 helps=() several=''
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line =~ ^:[0-9]+$ ]]; then
            directive=${line#:}
            continue
        fi
        value=$option${line%%$'\t'*}
        value=${value#"$kept"}
        [[ $line && $value ]] || continue
        # bash puts it on the line as it is: quote it, or it could say more than one word.
        if [[ ! $open ]]; then
            printf -v value %q "$value"
        elif [[ $value == *[\'\"\\\$\`\!]* ]]; then
            continue
        fi
        [[ $value != "${COMPREPLY[0]-$value}" ]] && several=yes
        COMPREPLY+=("$value")
        if [[ $line == *$'\t'* ]]; then helps+=("  (${line#*$'\t'})"); else helps+=(''); fi
    done <<<"$(command ecsx __complete "${asked[@]}" 2>/dev/null)"

    # The second TAB lists: there is room for the help. But a word that is alone it does insert.
    if [[ $COMP_TYPE -eq 63 && $several ]]; then
        for word in "${!COMPREPLY[@]}"; do
            COMPREPLY[word]+=${helps[word]}
        done
    fi
    if ((directive & 2)); then compopt -o nospace; fi
    if ((directive & 32)); then compopt -o nosort; fi
    if ((directive & 16)); then
        compopt -o dirnames
    elif ((!(directive & 4))); then
        compopt -o default
    fi
} 2>/dev/null
complete -F _ecsx ecsx
