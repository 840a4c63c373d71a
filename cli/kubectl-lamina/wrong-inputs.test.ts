import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { apiServer, failure, kubeconfigFor, listOf } from './testing/api-server.ts'
import { type Bundle, bundled } from './testing/bundle.ts'

/** What was typed, what is said, and the exit code: 2 for wrong words, 1 for all else. */

const kinds = '/apis/lamina.dev/v1alpha1/namespaces'

const overlay = {
  metadata: { name: 'dev', namespace: 'team', generation: 1 },
  spec: { size: '4Gi' },
}
const existingClaim = {
  metadata: { name: 'mine', namespace: 'team', generation: 1 },
  spec: { storage: { existingClaimName: 'data' } },
}
const stopped = {
  metadata: { name: 'dev', namespace: 'team', generation: 1 },
  spec: { imageRef: { name: 'debian' }, overlays: [{ name: 'dev' }], state: 'Stopped' },
  status: {
    observedGeneration: 1,
    conditions: ['Ready', 'Running'].map((type) => ({
      type,
      status: type === 'Ready' ? 'True' : 'False',
      reason: 'Stopped',
      message: '',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    })),
  },
}
const object = (body: object) => ({ status: 200, body })
const absent = (name: string) => failure(404, 'NotFound', `"${name}" not found`, name)

let bundle: Bundle
let server: Awaited<ReturnType<typeof apiServer>>

beforeAll(async () => {
  bundle = await bundled()
  server = await apiServer({
    [`${kinds}/team/persistentoverlays/dev`]: object(overlay),
    [`${kinds}/team/persistentoverlays/mine`]: object(existingClaim),
    [`${kinds}/team/persistentoverlays/none`]: absent('none'),
    [`${kinds}/team/instances/dev`]: object(stopped),
    [`${kinds}/team/instances/none`]: absent('none'),
    [`${kinds}/team/instances`]: listOf(stopped),
    [`${kinds}/team/containerimages/none`]: absent('none'),
    [`${kinds}/team/containerimages`]: listOf(),
    '/api/v1/namespaces/team/pods/dev': absent('dev'),
    [`${kinds}/foreign/instances`]: failure(
      403,
      'Forbidden',
      'User "me" cannot list instances in the namespace "foreign"',
    ),
    [`${kinds}/expired/instances`]: failure(401, 'Unauthorized', 'Unauthorized'),
  })
  await server.writeKubeconfig(join(bundle.dir, 'good'))
  await writeFile(join(bundle.dir, 'away'), kubeconfigFor('http://127.0.0.1:9'))
  await writeFile(join(bundle.dir, 'broken'), 'clusters: [{')
  const { contexts: _, 'current-context': __, ...empty } = JSON.parse(kubeconfigFor('http://127.0.0.1:9'))
  await writeFile(join(bundle.dir, 'empty'), JSON.stringify(empty))
})
afterAll(async () => {
  await server.close()
  await bundle.remove()
})

const rows: [words: string, exitCode: number, message: string][] = [
  ['rnu debian', 2, "unknown command 'rnu'\n(Did you mean run?)"],
  ['overlay', 2, 'kubectl lamina overlay needs a word more'],
  ['overlay crate x', 2, 'Did you mean create?'],
  ['run', 2, "missing required argument 'image'"],
  ['run -- ls', 2, "missing required argument 'image'"],
  ['run debian ls -l', 2, "unknown option '-l': what belongs to the command stands behind --"],
  ['ps --foo', 2, "unknown option '--foo'\nSee: kubectl lamina ps --help"],
  ['ps -o xml', 2, 'Allowed choices are wide, json, yaml.'],
  ['ps -- ls', 2, 'nothing is run here: leave out "--" and what is behind it (ls)'],
  ['run debian --overlay a --overlay b -- ls', 2, 'Only one overlay can be written: give :ro to the others.'],
  ['run debian --overlay a:rx -- ls', 2, 'Give NAME, NAME:rw or NAME:ro.'],
  ['run debian --overlay a --overlay a:ro -- ls', 2, 'Overlay a is given twice.'],
  ['run debian --overlay My_Overlay -- ls', 2, 'lower-case letters, digits and "-"'],
  ['run debian --size big -- ls', 2, 'A size is a number and a unit: 512Mi, 10Gi.'],
  ['run debian --env HOME -- ls', 2, 'Give NAME=VALUE.'],
  ['run debian --workdir tmp -- ls', 2, 'Give a path from the root: /home/me.'],
  ['run debian --tty -- ls', 2, '--tty: standard input is no terminal; leave --tty out'],
  ['run shub://vsoch/hello -- ls', 2, 'Singularity Hub is no more. Take the image from a registry (docker://…)'],
  ['run ./debian.sif -- ls', 2, 'is on this machine, where the cluster cannot see it'],
  ['run https://host/debian.sif -- ls', 2, 'give --sha256 with what sha256sum says of the file'],
  ['run Debian -- ls', 2, '"Debian" is no image reference'],
  ['run overlay/dev -- ls', 2, 'is an overlay: give an image, and the overlay by --overlay dev'],
  ['run instance/none -- ls', 1, 'there is no instance "none" in namespace team'],
  ['run image/none -- ls', 1, 'there is no image "none" in namespace team'],
  ['run dev --overlay other -- ls', 2, 'instance dev is there already, with other overlays (dev): leave --overlay out'],
  ['exec dev', 2, 'give the command behind --: kubectl lamina exec dev -- ls'],
  ['exec none -- ls', 1, 'there is no instance "none" in namespace team; there are: dev'],
  ['exec dev -- ls', 125, 'instance dev does not run (Stopped): kubectl lamina start dev'],
  ['start none', 1, 'To make one: kubectl lamina start IMAGE none'],
  ['start debian dev more', 2, 'start takes INSTANCE, or IMAGE and INSTANCE; what is "more"?'],
  ['start dev --overlay x', 2, '--overlay is for an instance that is made: kubectl lamina start IMAGE dev --overlay …'],
  ['stop', 2, 'name the instances to stop, or give --all'],
  ['stop dev --all', 2, '--all stops them all: leave the names out'],
  [
    'logs dev',
    1,
    'instance dev has no log of its container main now: Stopped; kubectl lamina doctor instance/dev says more',
  ],
  ['logs dev --tail few', 2, 'Give a whole number.'],
  ['logs dev --since 5', 2, 'Give a number and a unit: 90s, 5m, 1h, 2d.'],
  ['image add http://host/a.sif', 2, 'only https:// is taken, with --sha256'],
  ['image prefetch debian --nodes gpu', 2, 'Give LABEL=VALUE.'],
  ['overlay create dev --format Zip', 2, 'Allowed choices are Image, Directory.'],
  ['overlay resize dev 1Gi', 2, 'overlay dev has 4Gi, and nothing shrinks'],
  ['overlay resize mine 8Gi', 1, 'overlay mine lies on the claim data, whose size Lamina leaves alone'],
  ['overlay check none', 1, 'there is no overlay "none" in namespace team: "kubectl lamina overlay ls" lists them'],
  ['doctor pod/dev', 2, '"pod/dev": give instance/NAME, overlay/NAME, image/NAME or node/NAME'],
  ['completion tcsh', 2, 'no completion for "tcsh": there are bash, zsh, fish'],
  ['ps -n foreign', 1, 'not allowed (403): User "me" cannot list instances in the namespace "foreign"'],
  ['ps -n expired', 1, 'the cluster does not take your credentials (401): log in again'],
  ['ps -n elsewhere', 1, "this cluster does not know Lamina's kinds: Lamina is not installed there"],
  ['ps --context other', 1, 'the kubeconfig has no context "other"; it has: test'],
  ['ps --kubeconfig away', 1, 'no answer from http://127.0.0.1:9: nothing listens there'],
  ['ps --kubeconfig none', 2, '--kubeconfig none: there is no such file'],
  ['ps --kubeconfig broken', 1, 'broken is not a kubeconfig: '],
  ['ps --kubeconfig empty', 1, 'the kubeconfig has no current context: give --context'],
]

describe('wrong inputs are told what is wrong and what to do, without a stack trace', () => {
  test.concurrent.each(rows)('kubectl lamina %s', { timeout: 60_000 }, async (words, exitCode, message) => {
    const result = await bundle.run(words.split(' '), { KUBECONFIG: join(bundle.dir, 'good') })
    expect(result.stderr).toContain(message)
    expect(result.stderr).toMatch(/^error: /)
    expect(result.stderr).not.toMatch(/\n\s+at |\.mjs:\d+/)
    expect(result.stdout).toBe('')
    expect(result.exitCode).toBe(exitCode)
  })

  test('no file in KUBECONFIG, and no cluster around', async () => {
    const { stderr, exitCode } = await bundle.run(['ps'], { KUBECONFIG: '/none' })
    expect(stderr).toBe(
      'error: no way to a cluster: none of the files in KUBECONFIG (/none) is there. Correct it, or give --kubeconfig',
    )
    expect(exitCode).toBe(1)
  })
})
