import type { WrongInputs } from '../shared/wrong-input.ts'

/** 2 is the exit code of wrong words, 125 of a command that was not started, 1 of all else. What the cluster has is in the test. */
export const wrongInputs: readonly WrongInputs[] = [
  {
    about: 'The words',
    inputs: [
      ['rnu debian', 2, "unknown command 'rnu'\n(Did you mean run?)\nSee: kubectl lamina --help"],
      [
        'pull debian:12',
        2,
        '"pull" is not to be had: kubectl lamina image add IMAGE, with --prefetch to bring it to all nodes at once; or name the image where one is asked for',
      ],
      ['rm dev', 2, '"rm" is not to be had: kubectl delete instance NAME; what it wrote stays in its overlay'],
      [
        'run -d debian:12',
        2,
        '--detach is not to be had: kubectl lamina start IMAGE NAME runs it in the background. What belongs to the command stands behind --',
      ],
      [
        'run -p 8080:80 debian:12',
        2,
        '--publish is not to be had: kubectl port-forward NAME PORT, with the name of the instance; or spec.ports and spec.service of an Instance. What belongs to the command stands behind --',
      ],
      [
        'run --env-file nope debian:12',
        2,
        '--env-file is not to be had: give each variable by --env NAME=VALUE. What belongs to the command stands behind --',
      ],
      [
        'overlay rm dev',
        2,
        '"rm" is not to be had: kubectl delete persistentoverlay NAME; its volume stays, for an overlay of that name to take up again',
      ],
      ['help nope', 2, "unknown command 'nope'\nSee: kubectl lamina --help"],
      ['help overlay nope', 2, "unknown command 'nope'\nSee: kubectl lamina overlay --help"],
      [
        'overlay',
        2,
        'kubectl lamina overlay needs a word more: create, ls, du, check, resize\nSee: kubectl lamina overlay --help',
      ],
      ['overlay crate x', 2, "unknown command 'crate'\n(Did you mean create?)\nSee: kubectl lamina overlay --help"],
      ['run', 2, "missing required argument 'image'\nSee: kubectl lamina run --help"],
      ['run -- ls', 2, "missing required argument 'image'\nSee: kubectl lamina run --help"],
      [
        'run debian ls -l',
        2,
        "unknown option '-l': what belongs to the command stands behind --\nSee: kubectl lamina run --help",
      ],
      ['ps --foo', 2, "unknown option '--foo'\nSee: kubectl lamina ps --help"],
      [
        'ps -o xml',
        2,
        "option '-o, --output <format>' argument 'xml' is invalid. Allowed choices are wide, json, yaml.\nSee: kubectl lamina ps --help",
      ],
      ['ps -- ls', 2, 'nothing is run here: leave out "--" and what is behind it (ls)'],
      ['completion tcsh', 2, 'no completion for "tcsh": there are bash, zsh, fish'],
    ],
  },
  {
    about: 'Running',
    inputs: [
      [
        'run debian --overlay a --overlay b -- ls',
        2,
        "option '--overlay <name[:ro]>' argument 'b' is invalid. Only one overlay can be written: give :ro to the others.\nSee: kubectl lamina run --help",
      ],
      [
        'run debian --overlay a:rx -- ls',
        2,
        "option '--overlay <name[:ro]>' argument 'a:rx' is invalid. Give NAME, NAME:rw or NAME:ro.\nSee: kubectl lamina run --help",
      ],
      [
        'run debian --overlay a --overlay a:ro -- ls',
        2,
        "option '--overlay <name[:ro]>' argument 'a:ro' is invalid. Overlay a is given twice.\nSee: kubectl lamina run --help",
      ],
      [
        'run debian --overlay My_Overlay -- ls',
        2,
        "option '--overlay <name[:ro]>' argument 'My_Overlay' is invalid. A name has at most 54 lower-case letters, digits and \"-\", and a letter or digit at both ends.\nSee: kubectl lamina run --help",
      ],
      [
        'run debian --size big -- ls',
        2,
        "option '--size <quantity>' argument 'big' is invalid. A size is a number and a unit: 512Mi, 10Gi.\nSee: kubectl lamina run --help",
      ],
      [
        'run debian --env HOME -- ls',
        2,
        "option '-e, --env <name=value>' argument 'HOME' is invalid. Give NAME=VALUE.\nSee: kubectl lamina run --help",
      ],
      [
        'run debian --workdir tmp -- ls',
        2,
        "option '-w, --workdir <path>' argument 'tmp' is invalid. Give a path from the root: /home/me.\nSee: kubectl lamina run --help",
      ],
      ['run debian --tty -- ls', 2, '--tty: standard input is no terminal; leave --tty out'],
      [
        'run shub://vsoch/hello -- ls',
        2,
        'shub://vsoch/hello: Singularity Hub is no more. Take the image from a registry (docker://…), or as a file (https://…)',
      ],
      [
        'run ./debian.sif -- ls',
        2,
        './debian.sif is on this machine, where the cluster cannot see it: push it to a registry (skopeo copy ./debian.sif docker://…), or put it on a web server or a volume',
      ],
      [
        'run https://host/debian.sif -- ls',
        2,
        'https://host/debian.sif: give --sha256 with what sha256sum says of the file, so that no other can come in its place',
      ],
      [
        'run https://host/tools.sif --sha256 bb -- ls',
        1,
        'image "tools" is of https://host/tools.sif with the sum aa; you ask for bb. Has the file changed? Then make an image of it as it is now: kubectl lamina image add … --name NAME, and use that',
      ],
      [
        'run debian:12 --sha256 bb -- ls',
        2,
        '--sha256 is for an image that is made of a file (https://, oras://); debian:12 is none: leave it out',
      ],
      [
        'run Debian -- ls',
        2,
        '"Debian" is no image reference: write debian:12, ghcr.io/owner/name or name@sha256:…, in lower case',
      ],
      ['run overlay/dev -- ls', 2, 'overlay/dev is an overlay: give an image, and the overlay by --overlay dev'],
      ['run instance/none -- ls', 1, 'there is no instance "none" in namespace team: kubectl lamina ps lists them'],
      ['run image/none -- ls', 1, 'there is no image "none" in namespace team: kubectl lamina image ls lists them'],
      [
        'run image/tolls -- ls',
        1,
        'there is no image "tolls" in namespace team: kubectl lamina image ls lists them\n(Did you mean tools?)',
      ],
      [
        'run dev --rm -- ls',
        2,
        'instance dev is there already, and --rm throws away only what it has made: leave --rm out, or give another --name',
      ],
      [
        'run image/tools --name dev --overlay other -- ls',
        2,
        'instance dev is there already, with other overlays (dev): leave --overlay out, or give another --name',
      ],
      [
        'run dev --overlay other -- ls',
        2,
        'instance dev is there already, with other overlays (dev): leave --overlay out, or give another --name',
      ],
    ],
  },
  {
    about: 'Instances',
    inputs: [
      [
        'exec dev',
        2,
        'give the command behind --: kubectl lamina exec dev -- ls; "kubectl lamina shell dev" is a shell',
      ],
      ['exec none -- ls', 1, 'there is no instance "none" in namespace team; there are: dev'],
      ['exec dve -- ls', 1, 'there is no instance "dve" in namespace team; there are: dev\n(Did you mean dev?)'],
      ['exec dev -- ls', 125, 'instance dev does not run (Stopped): kubectl lamina start dev'],
      [
        'start none',
        1,
        'there is no instance "none" in namespace team; there are: dev\nTo make one: kubectl lamina start IMAGE none',
      ],
      ['start debian dev more', 2, 'start takes INSTANCE, or IMAGE and INSTANCE; what is "more"?'],
      [
        'start dev --overlay x',
        2,
        '--overlay is for an instance that is made: kubectl lamina start IMAGE dev --overlay …',
      ],
      [
        'start tools dev --overlay other',
        2,
        'instance dev is there already, with other overlays (dev): leave --overlay out, or give another --name',
      ],
      ['start dev --env A=b', 2, '--env is for an instance that is made: kubectl lamina start IMAGE dev --env …'],
      [
        'start debian:12 dev --env A=b',
        2,
        'instance dev is there already, and --env is for one that is made: give it another name',
      ],
      ['stop', 2, 'name the instances to stop, or give --all'],
      ['stop dev --all', 2, '--all stops them all: leave the names out'],
      [
        'logs dev',
        1,
        'instance dev has no log of its container main now: Stopped; kubectl lamina doctor instance/dev says more',
      ],
      [
        'logs dev --tail few',
        2,
        "option '--tail <lines>' argument 'few' is invalid. Give a whole number.\nSee: kubectl lamina logs --help",
      ],
      [
        'logs dev --since 5',
        2,
        "option '--since <duration>' argument '5' is invalid. Give a number and a unit: 90s, 5m, 1h, 2d.\nSee: kubectl lamina logs --help",
      ],
    ],
  },
  {
    about: 'Images and overlays',
    inputs: [
      ['image add http://host/a.sif', 2, 'http://host/a.sif: only https:// is taken, with --sha256'],
      [
        'image prefetch debian --nodes gpu',
        2,
        "option '--nodes <label=value>' argument 'gpu' is invalid. Give LABEL=VALUE.\nSee: kubectl lamina image prefetch --help",
      ],
      [
        'overlay create dev --format Zip',
        2,
        "option '--format <format>' argument 'Zip' is invalid. Allowed choices are Image, Directory.\nSee: kubectl lamina overlay create --help",
      ],
      [
        'overlay resize dev 1Gi',
        2,
        'overlay dev has 4Gi, and nothing shrinks: make a smaller one, and copy what you need',
      ],
      [
        'overlay resize mine 8Gi',
        1,
        'overlay mine lies on the claim data, whose size Lamina leaves alone: make another overlay, of the size that you need, and copy what is in this one',
      ],
      [
        'overlay check none',
        1,
        'there is no overlay "none" in namespace team: "kubectl lamina overlay ls" lists them, "overlay create" makes one',
      ],
      [
        'doctor pod/dev',
        2,
        '"pod/dev": give instance/NAME, overlay/NAME, image/NAME or node/NAME, or nothing for all of it',
      ],
    ],
  },
  {
    about: 'The cluster',
    inputs: [
      ['ps -n foreign', 1, 'not allowed (403): User "me" cannot list instances in the namespace "foreign"'],
      [
        'ps -n expired',
        1,
        'the cluster does not take your credentials (401): log in again, or choose another --context. It says: Unauthorized',
      ],
      [
        'ps -n elsewhere',
        1,
        'this cluster does not know Lamina\'s kinds: Lamina is not installed there, or in another version. "kubectl lamina doctor" looks closer',
      ],
      ['ps --context other', 1, 'the kubeconfig has no context "other"; it has: test'],
      [
        'ps --kubeconfig away',
        1,
        'no answer from http://127.0.0.1:9: nothing listens there: is the cluster up, and the port right? (ECONNREFUSED)',
      ],
      [
        'ps --kubeconfig nowhere',
        1,
        'cluster "test" of the kubeconfig has the server "10.0.0.1:6443": give https://HOST:PORT',
      ],
      ['ps --kubeconfig none', 2, '--kubeconfig none: there is no such file'],
      [
        'ps --kubeconfig broken',
        1,
        'broken is not a kubeconfig: unexpected end of the stream within a flow collection (1:13)',
      ],
      [
        'ps --kubeconfig empty',
        1,
        'the kubeconfig has no current context: give --context, or run kubectl config use-context. It has: none',
      ],
    ],
  },
]
