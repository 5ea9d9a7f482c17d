# fish completion for macvnet: printed by 'macvnet completion fish'.

function __macvnet_complete
    set -l before (commandline -opc)
    set -l typed (commandline -ct)
    set -l program (string replace -r '^~/' $HOME/ -- $before[1])
    command -q -- $program; or set program macvnet
    command -q -- $program; or return
    set -l answer ($program __complete fish (math (count $before) - 1) $before[2..-1] "$typed" \
        2>/dev/null)
    set -l kind (string split \t -- $answer[1])
    set -l rest (string sub -s (math 1 + (string length -- "$kind[2]")) -- "$typed")
    switch "$kind[1]"
        case words open
            string join \n -- $answer[2..-1]
        case files
            printf '%s\n' $kind[2](__fish_complete_path $rest)
        case directories
            printf '%s\n' $kind[2](__fish_complete_directories $rest '')
        case command
            set -e before[1..(math $kind[2] + 1)]
            complete -C (string join ' ' -- (string escape -- $before) "$typed")
    end
end

complete -c macvnet -f -k -a '(__macvnet_complete)'
