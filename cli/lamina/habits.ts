import type { Command } from 'commander'
import { addOtherOptions, addOtherVerbs, type OtherWords } from '../shared/other-words.ts'
import { Refusal } from '../shared/refusal.ts'
import { newCommand } from './new-command.ts'

/** What users of Apptainer, Docker and Podman type that is called otherwise here, or is not to be had: each with what to do. */

const made =
  'what was made of docker:// lies in ~/.cache/lamina/images, of root in /var/cache/lamina/images ($LAMINA_CACHEDIR)'
const signed = 'sign and verify a SIF with apptainer'

const otherVerbs: OtherWords = {
  pull: 'lamina build IMAGE.sqfs docker://IMAGE makes a file of an image; docker://IMAGE itself can stand wherever an image is asked for',
  push: 'an image is a file here: copy it, or push it with apptainer push',
  images: `an image is a file here; ${made}`,
  rmi: `an image is a file here, removed by rm; ${made}`,
  rm: 'a container ends with its command and leaves nothing; lamina instance stop NAME ends an instance, rm removes an overlay',
  kill: 'lamina instance stop --force NAME, or --signal SIGNAL',
  create: 'lamina overlay create makes an overlay, lamina instance start a container in the background',
  attach: 'lamina shell instance://NAME goes into an instance, lamina logs --follow NAME shows what it prints',
  inspect:
    'lamina exec IMAGE ls /.singularity.d shows what an image says of itself; lamina instance list --json tells of instances',
  search: 'look for images at the registry itself',
  login: 'skopeo login REGISTRY, or podman login: lamina uses their credentials',
  sign: signed,
  verify: signed,
  cache: `${made}: remove what you do not use`,
  commit: 'what a container changes is kept in its overlay: lamina run --overlay FILE',
}

const bind = 'give directories of the host by -B SRC[:DEST[:ro]]'
const nvidia =
  "the driver's files are not brought along: give each that `nvidia-container-cli list` names by -B; the devices are there"

const otherOptions: OtherWords = {
  '-w, --writable':
    'the image itself is never written: lay an overlay over it with --overlay; --pwd sets the working directory',
  '-d, --detach': 'lamina instance start IMAGE NAME runs it in the background',
  '--name <name>': 'lamina instance start IMAGE NAME gives a container a name',
  '-v, --volume <volume>': bind,
  '--mount <mount>': bind,
  '--volumes-from <name>': bind,
  '--publish <ports>': "the network is the host's: what listens in a container can be reached at once",
  '--network <network>': "the network is the host's; containers with others are for the cluster",
  '--nv': nvidia,
  '--nvccli': nvidia,
  '--rocm': 'the files of ROCm are not brought along: give its directory by -B /opt/rocm; the devices are there',
  '-u, --user <user>': 'the command runs as you; with --fakeroot as root of a container',
  '--memory <size>': 'run lamina below systemd-run --scope -p MemoryMax=SIZE',
  '--cpus <count>': 'run lamina below systemd-run --scope -p CPUQuota=PERCENT',
}

/** So it is without them, too. */
const needless = [
  ...['-i, --interactive', '-t, --tty', '--rm'],
  ...['--writable-tmpfs', '--no-nv', '--no-init', '--no-eval', '--disable-cache', '--silent', '--quiet'],
]

const refuse = (message: string): Refusal => new Refusal(message)

export const addForeignVerbs = (program: Command): void =>
  addOtherVerbs(program, otherVerbs, { make: newCommand, refuse })

/** Of a command that makes a container. */
export const addForeignOptions = (command: Command): void => {
  for (const flags of needless) command.addOption(command.createOption(flags).hideHelp())
  addOtherOptions(command, otherOptions, refuse)
}

/** What somebody may have meant by an image that is no file: words that Docker has before it, or its names. */
export const meantBy = (image: string): string => {
  if (/^[A-Za-z_][A-Za-z0-9_]*=/.test(image)) return `. A variable is set by --env ${image}; -e is --cleanenv`
  if (/^(?:[\d.]+:)*\d+:\d+(?:\/\w+)?$/.test(image))
    return ". Ports need no -p, which is --pid: the network is the host's"
  if (
    /^[a-z0-9][\w.-]*(?:\/[\w.-]+)*(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?$/.test(image) &&
    !/\.[a-z]{3,8}$/.test(image)
  )
    return `; an image of a registry is docker://${image}`
  return ''
}
