/**
 * Completion for `kubectl-lamina`, called by that name or by another that begins
 * with it. `kubectl lamina` itself is completed by kubectl, which calls
 * `kubectl_complete-lamina`.
 */

const bash = `# bash completion for kubectl lamina: source <(kubectl lamina completion bash)
_kubectl_lamina() {
  local line value
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in :*) continue ;; esac
    value=\${line%%$'\\t'*}
    COMPREPLY+=("$value")
  done < <(kubectl-lamina __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _kubectl_lamina kubectl-lamina
`

const zsh = `#compdef kubectl-lamina
# zsh completion for kubectl lamina: source <(kubectl lamina completion zsh)
_kubectl_lamina() {
  local -a lines found
  local line
  lines=("\${(@f)$(kubectl-lamina __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $lines; do
    [[ $line == :* ]] && continue
    if [[ $line == *$'\\t'* ]]; then
      found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
    else
      found+=("\${line//:/\\\\:}")
    fi
  done
  _describe 'kubectl lamina' found
}
compdef _kubectl_lamina kubectl-lamina
`

const fish = `# fish completion for kubectl lamina: kubectl lamina completion fish | source
function __kubectl_lamina_complete
  set -l words (commandline -opc) (commandline -ct)
  kubectl-lamina __complete -- $words[2..] 2>/dev/null | string match -v ':*'
end
complete -c kubectl-lamina -f -a '(__kubectl_lamina_complete)'
`

/** kubectl's own completion asks a program of this name, which may be a link to ours. */
const forKubectl = `# For "kubectl lamina" itself, with kubectl's own completion on, put a link beside kubectl-lamina:
#   ln -s "$(command -v kubectl-lamina)" ~/.local/bin/kubectl_complete-lamina
`

export const scripts: Readonly<Record<string, string>> = {
  bash: bash + forKubectl,
  zsh: zsh + forKubectl,
  fish: fish + forKubectl,
}
