import { Refusal } from '../../shared/refusal.ts'

/** What is to be run: by `run`, `exec` and `shell`, or as an instance's own process. */
export interface Action {
  kind: 'run' | 'exec' | 'shell' | 'start'
  args: readonly string[]
  /** `--shell`. */
  shell?: string | undefined
}

/** What a root has of all that. */
export interface RootFacts {
  /** Of an image that was made by this command line. */
  config: RunConfig | undefined
  /** `/.singularity.d/env/*.sh`, or `/environment` of 2.x. */
  environment: 'scripts' | 'file' | undefined
  runscript: string | undefined
  startscript: string | undefined
  /** The first of bash and sh that is there. */
  shell: string | undefined
  hasSh: boolean
}

/** The OCI image configuration, as far as a command needs it. */
export interface RunConfig {
  entrypoint: readonly string[]
  cmd: readonly string[]
  env: readonly string[]
}

const loadScripts = 'for each in /.singularity.d/env/*.sh; do if [ -f "$each" ]; then . "$each"; fi; done; unset each'
const loadFile = '. /environment'

/** The image's own environment is written as shell scripts. */
const withEnvironment = (args: readonly string[], { environment, hasSh, config }: RootFacts): readonly string[] => {
  if (config !== undefined || environment === undefined || !hasSh) return args
  const load = environment === 'scripts' ? loadScripts : loadFile
  // As Singularity, whose images set a prompt of their own.
  const script = `prompt=$PS1; ${load}; PS1=$prompt; unset prompt; export PS1; exec "$@"`
  return ['/bin/sh', '-c', script, '/bin/sh', ...args]
}

const ofShell = ({ args, shell: wanted }: Action, { shell }: RootFacts): readonly string[] => {
  if (wanted !== undefined) return [wanted, ...args]
  if (shell === undefined) throw new Refusal('/bin/sh does not exist in container: name its shell with --shell')
  return shell.endsWith('bash') ? [shell, '--norc', ...args] : [shell, ...args]
}

const ofRun = ({ args }: Action, { config, runscript, shell }: RootFacts): readonly string[] => {
  if (config !== undefined) {
    const command = [...config.entrypoint, ...(args.length > 0 ? args : config.cmd)]
    if (command.length > 0) return command
  } else if (runscript !== undefined) {
    return [runscript, ...args]
  }
  if (shell === undefined)
    throw new Refusal('the image has neither a runscript nor an entrypoint nor a shell: use lamina exec IMAGE COMMAND')
  return [shell, ...args]
}

/** @throws Refusal when the root has nothing that could be run */
export const commandOf = (action: Action, facts: RootFacts): readonly string[] => {
  switch (action.kind) {
    case 'exec':
      return withEnvironment(action.args, facts)
    case 'shell':
      return withEnvironment(ofShell(action, facts), facts)
    case 'run':
      return withEnvironment(ofRun(action, facts), facts)
    case 'start':
      return facts.startscript === undefined ? [] : withEnvironment([facts.startscript, ...action.args], facts)
  }
}
