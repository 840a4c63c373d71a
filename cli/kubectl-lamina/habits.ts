import { Command } from 'commander'
import { usageError } from '../shared/cli-error.ts'
import { addOtherOptions, addOtherVerbs, type OtherWords } from '../shared/other-words.ts'

/** What users of Docker, Apptainer and kubectl type that is called otherwise here. */

const described = 'kubectl describe instance NAME; kubectl lamina doctor says what is wrong, and what to do next'

const otherVerbs: OtherWords = {
  pull: 'kubectl lamina image add IMAGE, with --prefetch to bring it to all nodes at once; or name the image where one is asked for',
  push: 'push images to a registry from where they are made',
  build: 'images are built elsewhere, and come from a registry: kubectl lamina image add IMAGE',
  images: 'kubectl lamina image ls',
  rmi: 'kubectl delete containerimage NAME',
  rm: 'kubectl delete instance NAME; what it wrote stays in its overlay',
  delete:
    'kubectl delete instance NAME, or persistentoverlay, containerimage; what an instance wrote stays in its overlay',
  get: 'kubectl lamina ps, image ls, overlay ls; or kubectl get lamina',
  describe: described,
  inspect: described,
  create: 'kubectl lamina overlay create makes an overlay, start IMAGE NAME an instance',
  restart: 'kubectl lamina stop NAME, and then start NAME',
  kill: 'kubectl lamina stop NAME',
  attach: 'kubectl lamina shell NAME goes into an instance, logs --follow NAME shows what it prints',
  cp: 'kubectl cp, with the name of the instance: its pod has the same',
  top: 'kubectl lamina stats',
}

const volumes =
  'what is to be kept lies in an overlay: --overlay NAME; other volumes are for spec.podTemplate of an Instance'
const gpus = 'GPUs are asked for in spec.podTemplate of an Instance'

const otherOptions: OtherWords = {
  '-d, --detach': 'kubectl lamina start IMAGE NAME runs it in the background',
  '-v, --volume <volume>': volumes,
  '-B, --bind <path>': volumes,
  '-p, --publish <ports>':
    'kubectl port-forward NAME PORT, with the name of the instance; or spec.ports and spec.service of an Instance',
  '--env-file <file>': 'give each variable by --env NAME=VALUE',
  '--nv': gpus,
  '--gpus <count>': gpus,
}

const removal = (kind: string, left: string): OtherWords => {
  const advice = `kubectl delete ${kind} NAME${left}`
  return { rm: advice, delete: advice }
}

/** Those of verbs that have verbs of their own. */
const below: Readonly<Record<string, OtherWords>> = {
  overlay: removal('persistentoverlay', '; its volume stays, for an overlay of that name to take up again'),
  image: removal('containerimage', ''),
  instance: removal('instance', '; what it wrote stays in its overlay'),
}

export const addForeignVerbs = (root: Command): void => {
  const manner = { make: (name: string) => new Command(name), refuse: usageError }
  addOtherVerbs(root, otherVerbs, manner)
  for (const command of root.commands) addOtherVerbs(command, below[command.name()] ?? {}, manner)
}

/** Of a command that makes an instance. */
export const addForeignOptions = (command: Command): void =>
  addOtherOptions(command, otherOptions, (message) =>
    usageError(`${message}. What belongs to the command stands behind --`),
  )
