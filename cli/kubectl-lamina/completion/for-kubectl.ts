/** kubectl's own completion asks a program of this name, which may be a link to ours. */
export const forKubectl = `# For "kubectl lamina" itself, with kubectl's own completion on, put a link beside kubectl-lamina:
#   ln -s "$(command -v kubectl-lamina)" ~/.local/bin/kubectl_complete-lamina
`
