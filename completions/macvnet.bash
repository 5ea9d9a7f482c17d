# bash completion for macvnet: printed by 'macvnet completion bash'.

_macvnet() {
    local program=$1 kind
    [[ $program != "~/"* ]] || program=$HOME/${program:2}
    type -P -- "$program" >/dev/null || program=macvnet
    mapfile -t COMPREPLY < <("$program" __complete bash \
        "${COMP_LINE:0:COMP_POINT}" "${COMP_LINE:COMP_POINT}" "$2" 2>/dev/null)
    kind=${COMPREPLY[0]-}
    COMPREPLY=("${COMPREPLY[@]:1}")
    case $kind in
        open) compopt -o nospace ;;
        files) compopt -o default ;;
        directories) compopt -o dirnames ;;
        command*) _macvnet_command "${kind#*$'\t'}" "$2" ;;
    esac
}

# The words of another command, which begins at this place of the line.
_macvnet_command() {
    local at=0 word
    for ((word = 0; word < COMP_CWORD; word++)); do
        while [[ ${COMP_LINE:at:1} == [[:space:]] ]]; do ((at++)); done
        ((at < $1)) || break
        ((at += ${#COMP_WORDS[word]}))
    done
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$word"
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$word"
    elif ((word == COMP_CWORD)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$2")
    else
        compopt -o default
    fi
}

complete -F _macvnet macvnet
