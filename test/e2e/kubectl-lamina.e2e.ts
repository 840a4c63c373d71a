import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { type Bundle, bundled } from '../../cli/kubectl-lamina/testing/bundle.ts'
import { clusterFiles } from '../cluster/layout.ts'
import { imageReference, testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { freshImage, variantImages } from './support/images.ts'
import { instance, persistentOverlay } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

/** The program as it is shipped, as somebody at a terminal of this machine calls it. */
describe('kubectl lamina', () => {
  let fixture: Fixture
  let bundle: Bundle
  let env: Record<string, string>
  const debian = imageReference(cluster, 'library/debian:12')

  beforeAll(async () => {
    bundle = await bundled()
    fixture = await createFixture(kubectl, 'cli')
    await fixture.apply(registrySecret(cluster))
    // A namespace of the context, as kubectl config set-context --namespace makes it.
    const config = await execa('cat', [clusterFiles(cluster.layout).kubeconfig])
    const kubeconfig = join(bundle.dir, 'kubeconfig')
    await writeFile(kubeconfig, config.stdout)
    env = { KUBECONFIG: kubeconfig, PATH: bundle.path }
  })
  afterAll(async () => {
    await fixture.destroy()
    await bundle.remove()
  })

  const words = (text: string): string[] => ['-n', fixture.namespace, ...text.split(' ')]
  const lamina = async (text: string, { command = [], input = '' }: { command?: string[]; input?: string } = {}) => {
    const behind = command.length > 0 ? ['--', ...command] : []
    const result = await execa(bundle.program, [...words(text), ...behind], {
      env,
      input,
      reject: false,
      timeout: 120_000,
    })
    return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr }
  }
  /** A program that goes on beside the test, and what it has said so far. */
  const begin = (program: string, ...args: string[]) => {
    const child = spawn(program, args, { env: { ...process.env, ...env } })
    const said = { stdout: '', stderr: '' }
    for (const stream of ['stdout', 'stderr'] as const)
      child[stream].on('data', (chunk) => {
        said[stream] += chunk
      })
    return { child, exited: once(child, 'exit'), said }
  }
  const names = async (kind: string): Promise<string[]> =>
    (await kubectl.list(fixture.namespace, kind)).map(({ metadata }) => metadata.name)

  test('run makes what is missing after saying so, passes on input, output and exit code, and cleans up', async () => {
    const { exitCode, stdout, stderr } = await lamina(
      `run ${debian} --pull-secret ${registrySecretName} --overlay dev --size 64Mi --env GREETING=hello`,
      { command: ['sh', '-c', 'cat; echo "$GREETING $0" >&2; echo kept > /foo; exit 7', 'a b'], input: 'in\0put' },
    )
    expect(stderr).toContain(`making ContainerImage debian-12 of ${debian}`)
    expect(stderr).toContain('making PersistentOverlay dev of 64Mi; it stays')
    expect(stderr).toMatch(/making Instance run-debian-12-\w{5}, which is thrown away at the end/)
    expect(stderr).toContain('hello a b')
    expect(stdout).toBe('in\0put')
    expect(exitCode).toBe(7)
    expect(await names('instances')).toEqual([])
    expect(await names('persistentoverlays')).toEqual(['dev'])
  })

  test('what was changed in the overlay is there in the next one, and after stop and start', async () => {
    const first = await lamina('run debian-12 --overlay dev --name work', {
      command: [
        'sh',
        '-c',
        'cat /foo; mkdir -p /usr/local/bin; printf "#!/bin/sh\\necho installed\\n" > /usr/local/bin/tool; chmod +x /usr/local/bin/tool',
      ],
    })
    expect(first).toMatchObject({ exitCode: 0, stdout: 'kept' })
    expect(await lamina('stop work')).toMatchObject({ exitCode: 0, stdout: 'instance work is stopped' })
    expect((await lamina('exec work', { command: ['tool'] })).stderr).toContain('instance work does not run (Stopped)')
    expect(await lamina('start work')).toMatchObject({ exitCode: 0, stdout: 'instance work runs' })
    expect(await lamina('exec work', { command: ['tool'] })).toMatchObject({ exitCode: 0, stdout: 'installed' })
  })

  test('run starts one that is stopped', async () => {
    await lamina('instance stop work')
    const { stdout, stderr, exitCode } = await lamina('run work', { command: ['tool'] })
    expect({ stdout, exitCode }).toEqual({ stdout: 'installed', exitCode: 0 })
    expect(stderr).toContain('starting instance work')
  })

  test('a program that is not there is 127, one that may not run 126', async () => {
    expect((await lamina('exec work', { command: ['no-such-program'] })).exitCode).toBe(127)
    expect((await lamina('exec work', { command: ['/etc/passwd'] })).exitCode).toBe(126)
  })

  test('much goes through, both ways, as it is', { timeout: 120_000 }, async () => {
    const bytes = 32 * 2 ** 20
    const script = `set -o pipefail; head -c ${bytes} /dev/urandom > "$2"; "$0" -n "$1" exec work -- cat < "$2" | cmp - "$2"`
    const { exitCode } = await execa(
      'bash',
      ['-c', script, bundle.program, fixture.namespace, join(bundle.dir, 'much')],
      {
        env,
        reject: false,
      },
    )
    expect(exitCode).toBe(0)
  })

  test('ps, stats and logs tell of it', async () => {
    const { stdout } = await lamina('ps')
    expect(stdout).toMatch(/^NAME +IMAGE +STATE +OVERLAYS +AGE\nwork +debian-12 +Running +dev +\d+[sm]/)
    expect((await lamina('ps -o wide')).stdout).toContain('NODE')
    const listed = JSON.parse((await lamina('instance list -o json')).stdout)
    expect(listed.items[0].metadata).toMatchObject({ name: 'work' })
    expect(listed.items[0].metadata).not.toHaveProperty('managedFields')
    expect(parse((await lamina('ps -o yaml')).stdout)).toEqual(listed)
    const used = await until('the overlay is measured', async () => {
      const { stdout: told } = await lamina('stats work -o json')
      return JSON.parse(told)[0].overlay.usedBytes > 0 && told
    })
    expect(JSON.parse(used)[0]).toMatchObject({ name: 'work', state: 'Running', overlay: { name: 'dev' } })
    expect((await lamina('overlay du dev')).stdout).toMatch(/dev +[\d.]+ [KM]iB +\d+ MiB +\d+%/)
    expect((await lamina('overlay ls')).stdout).toMatch(/dev .* Bound +True +work/)
    await fixture.apply(instance('talks', { image: 'debian-12', restartPolicy: 'Never', command: ['echo', 'said'] }))
    await until('it has been said', async () => (await lamina('logs talks')).stdout === 'said')
    await until('its end is told', async () => /talks +debian-12 +Completed/.test((await lamina('ps')).stdout))
  })

  test('ps --watch tells what changes until Ctrl-C', async () => {
    const { child, exited, said } = begin(bundle.program, ...words('ps --watch'))
    await until('the list is there', async () => said.stdout.includes('work'))
    await lamina('stop work')
    await until('the stop is told', async () => /work .*Stopped/.test(said.stdout))
    child.kill('SIGINT')
    expect(await exited).toEqual([130, null])
    await lamina('start work')
  })

  test('a terminal is one for the shell, of the size of ours, and what is drawn on it comes as it is', async () => {
    const grow = 'terminal=$(tty); (sleep 2; stty rows 40 cols 120 < $terminal) &'
    const inner = `stty rows 31 cols 97; ${grow} ${bundle.program} -n ${fixture.namespace} shell work`
    const { child, exited, said } = begin('script', '--quiet', '--return', '--command', inner, '/dev/null')
    child.stdin.write('stty size; tty\n')
    await until('the shell answers', async () => /^31 97\r\n\/dev\/pts\/\d+\r\n/m.test(said.stdout), {
      describe: async () => JSON.stringify(said.stdout),
    })
    await until('it has grown with ours', async () => {
      child.stdin.write('stty size\n')
      return /^40 120\r\n/m.test(said.stdout)
    })
    child.stdin.write('exit 5\n')
    expect(await exited).toEqual([5, null])
    expect(said.stdout).not.toContain('lamina:')
  })

  test('signals reach the command', async () => {
    const script = 'trap "echo heard; exit 9" TERM; echo ready; while :; do sleep 0.1; done'
    const { child, exited, said } = begin(bundle.program, ...words('exec work'), '--', 'sh', '-c', script)
    await until('it runs', async () => said.stdout.includes('ready'))
    child.kill('SIGTERM')
    expect(await exited).toEqual([9, null])
    expect(said.stdout).toBe('ready\nheard\n')
  })

  test('Ctrl-C ends a command, and the throw-away with it', async () => {
    const command = ['sh', '-c', 'echo ready; sleep 600']
    const { child, exited, said } = begin(bundle.program, ...words('run debian-12'), '--', ...command)
    await until('it runs', async () => said.stdout.includes('ready'))
    child.kill('SIGINT')
    expect(await exited).toEqual([130, null])
    expect((await names('instances')).filter((name) => name.startsWith('run-'))).toEqual([])
  })

  test('Ctrl-C while it still waits takes back what was made, but for overlays', async () => {
    // The overlay is in use: this one waits.
    const { child, exited, said } = begin(bundle.program, ...words('run debian-12 --overlay dev'), '--', 'true')
    await until('it says for whom it waits', async () => said.stderr.includes('in use for writing by instance work'))
    child.kill('SIGINT')
    expect(await exited).toEqual([130, null])
    expect(said.stderr).toMatch(/instance run-debian-12-\w{5} deleted/)
    expect((await names('instances')).filter((name) => name.startsWith('run-'))).toEqual([])
  })

  test('an image that is nowhere is told, and not left behind', async () => {
    const reference = imageReference(cluster, 'no/such:1')
    const { exitCode, stderr } = await lamina(`run ${reference} --pull-secret ${registrySecretName}`, {
      command: ['true'],
    })
    expect(exitCode).toBe(1)
    expect(stderr).toContain('ContainerImage such-1 deleted: it came to nothing')
    expect(stderr).toMatch(/error: image such-1: Image(NotFound|Unauthorized): /)
    expect(await names('containerimages')).toEqual(['debian-12'])
  })

  test('image add looks an image up, prefetch brings it to the nodes', async () => {
    await freshImage(cluster, 'test/cli-fresh')
    const reference = imageReference(cluster, 'test/cli-fresh:1')
    const added = await lamina(`image add ${reference} --name fresh --pull-secret ${registrySecretName}`)
    expect(added).toMatchObject({ exitCode: 0 })
    expect(added.stdout).toMatch(/^fresh: .*@sha256:[a-f0-9]{64}$/)
    expect(await lamina('image prefetch fresh')).toMatchObject({
      exitCode: 0,
      stdout: 'fresh: 1 of 1 nodes have the image',
    })
    expect((await lamina('image ls')).stdout).toMatch(/fresh .*Resolved/)
    expect(await lamina('image prefetch fresh --off')).toMatchObject({ exitCode: 0 })
  })

  test("run without a command runs the image's own, where and as the image says", async () => {
    await variantImages(cluster)
    const reference = imageReference(cluster, 'test/configured:1')
    const { stdout, exitCode } = await lamina(`run ${reference} --pull-secret ${registrySecretName}`)
    expect({ stdout, exitCode }).toEqual({ stdout: 'entry cmd from-image $(literal) /opt/place', exitCode: 0 })
  })

  test('overlays are made, made larger, and told whether they are whole', async () => {
    expect((await lamina('overlay create data --size 64Mi')).exitCode).toBe(0)
    expect((await lamina('overlay create data')).stderr).toContain('there is an overlay "data"')
    expect((await lamina('overlay check data')).exitCode).toBe(1)
    const resized = await lamina('overlay resize dev 96Mi')
    expect(resized.stdout).toMatch(/^overlay dev: 64Mi → 96Mi: /)
    const checked = await lamina('overlay check dev')
    expect(checked).toMatchObject({ exitCode: 0 })
    expect(checked.stdout).toContain('overlay dev: Clean')
  })

  test('doctor finds nothing wrong with the installation, and what is wrong with a broken object', async () => {
    await fixture.apply(instance('broken', { image: 'debian-12', overlays: ['nowhere'] }))
    const told = await until('the controller has looked at it', async () => {
      const result = await lamina('doctor instance/broken')
      return result.stdout.includes('OverlayNotFound') && result
    })
    expect(told.exitCode).toBe(1)
    expect(told.stdout).toContain('✗ instance/broken: OverlayNotFound: there is no PersistentOverlay "nowhere"')
    expect(told.stdout).toContain('→ kubectl lamina overlay create nowhere, or correct spec.overlays')
    await fixture.delete('instance', 'broken')
    const whole = await lamina('doctor -o json')
    const findings: { subject: string; level: string }[] = JSON.parse(whole.stdout)
    expect(findings.filter(({ subject, level }) => level === 'wrong' && !subject.startsWith('overlay/'))).toEqual([])
    expect(findings).toContainEqual(
      expect.objectContaining({ level: 'ok', what: expect.stringContaining('takes instances') }),
    )
  })

  test('completion knows the names of the cluster', async () => {
    const { stdout } = await execa(bundle.program, ['__complete', '--', '-n', fixture.namespace, 'exec', 'wo'], { env })
    expect(stdout).toBe('work\n:4')
    const behind = ['-n', fixture.namespace, 'run', '--overlay=da']
    expect((await execa(bundle.program, ['__complete', '--', ...behind], { env })).stdout).toBe('data\n:4')
  })

  test('what only a person can mend is not waited for without end, and said with the next step', async () => {
    await fixture.apply(instance('lost', { image: 'nowhere' }))
    const { exitCode, stderr } = await lamina('start lost')
    expect(exitCode).toBe(125)
    expect(stderr).toContain('instance lost cannot start: ImageNotFound: there is no ContainerImage "nowhere"')
    expect(stderr).toContain('→ ')
    await fixture.delete('instance', 'lost')
  })

  test('kubectl finds it as its plugin', async () => {
    // The flag that names the cluster would stand before the plugin's name, where kubectl takes none.
    const [program] = cluster.kube('kubectl')
    const { stdout } = await execa(program, ['kubectl', ...['lamina', '-n', fixture.namespace, 'ps']], {
      env: { ...env, PATH: `${join(bundle.dir, 'package')}:${bundle.path}` },
    })
    expect(stdout).toContain('work')
  })

  test('an overlay that must be made is told of on the way', async () => {
    await fixture.apply(persistentOverlay('slow', { size: '256Mi' }))
    const { exitCode, stderr } = await lamina('start debian-12 follows --overlay slow')
    expect(exitCode).toBe(0)
    expect(stderr).toContain('making Instance follows')
  })
})
