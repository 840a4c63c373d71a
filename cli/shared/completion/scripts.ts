/** What the shells are to complete: a program that is called by that name or by another that begins with it. */
export interface Completed {
  program: string
  /** In the words of its users. */
  called: string
  /** Whether files are offered where it knows nothing. */
  takesFiles: boolean
}

const bash = (
  { program, called, takesFiles }: Completed,
  name: string,
): string => `# bash completion for ${called}: source <(${called} completion bash)
${name}() {
  local line value word prefix='' i n=0
  local -a words=()
  COMPREPLY=()
  # bash takes --flag=value apart.
  for ((i = 1; i <= COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if ((n > 0)) && [[ \${words[n - 1]} == --* && ( $word == = || \${COMP_WORDS[i - 1]} == = ) ]]; then
      words[n - 1]+=$word
    else
      words[n]=$word
      n=$((n + 1))
    fi
  done
  # Unless it is told not to.
  [[ $word == --*=* ]] && prefix=\${word%%=*}=
  while IFS= read -r line; do
    case $line in :*) continue ;; esac
    value=\${line%%$'\\t'*}
    COMPREPLY+=("$prefix$value")
  done < <(${program} __complete -- "\${words[@]}" 2>/dev/null)
}
complete ${takesFiles ? '-o default ' : ''}-F ${name} ${program}
`

const zsh = ({ program, called, takesFiles }: Completed, name: string): string => `#compdef ${program}
# zsh completion for ${called}: source <(${called} completion zsh)
${name}() {
  local -a lines found
  local line
  lines=("\${(@f)$(${program} __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $lines; do
    [[ $line == :* ]] && continue
    if [[ $line == *$'\\t'* ]]; then
      found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
    else
      found+=("\${line//:/\\\\:}")
    fi
  done
  [[ $words[CURRENT] == --*=* ]] && compset -P '*='
  _describe '${called}' found${takesFiles ? ' || _files' : ''}
}
compdef ${name} ${program}
`

const fish = (
  { program, called, takesFiles }: Completed,
  name: string,
): string => `# fish completion for ${called}: ${called} completion fish | source
function _${name}_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l prefix (string match -r -- '^--[^=]+=' (commandline -ct))
  ${program} __complete -- $words[2..] 2>/dev/null | string match -v ':*' | string replace -r '^' -- "$prefix"
end
complete -c ${program} ${takesFiles ? '' : '-f '}-a '(_${name}_complete)'
`

/** By shell. The program tells what a word can be: `__complete -- WORD…`, a candidate a line. */
export const scriptsFor = (completed: Completed): Readonly<Record<string, string>> => {
  const name = `_${completed.program.replaceAll('-', '_')}`
  return { bash: bash(completed, name), zsh: zsh(completed, name), fish: fish(completed, name) }
}
