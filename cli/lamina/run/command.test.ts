import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test, vi } from 'vitest'
import { useCliBench } from '../testing/bench.ts'
import { expectNothingLeft } from '../testing/nothing-left.ts'

const bench = await useCliBench()

const exec = (...command: string[]) => bench.lamina(['exec', bench.image, ...command])
const sh = (script: string, ...options: string[]) => bench.lamina(['exec', ...options, bench.image, 'sh', '-c', script])

describe('a command', () => {
  test('has its arguments, its output and its exit code', () => {
    expect(exec('echo', 'a', '', 'b c', '--help', '-x')).toEqual({
      code: 0,
      signal: null,
      stderr: '',
      stdout: 'a  b c --help -x\n',
    })
    expect(sh('exit 7')).toMatchObject({ code: 7 })
    expect(sh('cat; echo err >&2; exit 3')).toMatchObject({ code: 3, stderr: 'err\n' })
  })

  test('reads what is piped in', () => {
    expect(bench.lamina(['exec', bench.image, 'cat'], { input: 'through\n' })).toMatchObject({ stdout: 'through\n' })
  })

  test.each(['SIGTERM', 'SIGINT', 'SIGKILL'] as const)('ended by %s ends lamina by it', (signal) => {
    expect(sh(`kill -${signal.slice(3)} $$`)).toMatchObject({ code: null, signal })
  })

  test.each(['SIGTERM', 'SIGUSR1', 'SIGHUP'] as const)('gets %s that is sent to lamina', async (signal) => {
    const script = `trap 'echo got; exit 5' ${signal.slice(3)}; echo up; while :; do sleep 0.05; done`
    const child = spawn(bench.launcher, ['exec', bench.image, 'sh', '-c', script], { env: bench.env })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    await vi.waitFor(() => expect(output).toBe('up\n'), 10_000)
    child.kill(signal)
    expect(await once(child, 'exit')).toEqual([5, null])
    expect(output).toBe('up\ngot\n')
  })

  test('finds signals, limits, umask and descriptors as the caller had them', () => {
    const look = 'grep -E "^Sig(Ign|Blk)" /proc/self/status; ulimit -Sn; umask; ls /proc/self/fd; cat <&7'
    const before = `trap '' HUP; ulimit -Sn 333; umask 027; echo seven > ${bench.dir}/seven; exec 7<${bench.dir}/seven`
    const find = (inside: string): string =>
      spawnSync('sh', ['-c', `${before}; exec ${inside} sh -c '${look}'`], { env: bench.env, encoding: 'utf8' }).stdout
    const found = find(`${bench.launcher} exec ${bench.image}`)
    expect(found).toBe(find('busybox'))
    expect(found).toMatch(/^SigBlk:\t0+\nSigIgn:\t0+1\n333\n0027\n(.*\n)*7\n(.*\n)*seven\n$/)
  })

  test.each(['dash', 'bash --posix'])(
    'finds the descriptors that the caller had, and no other, by a launcher under %s',
    (shell) => {
      const find = (inside: string): string => {
        const script = `exec 7<${bench.image} 10<${bench.image}; exec ${inside} sh -c 'cd /proc/self/fd; exec find . -type l'`
        return spawnSync('bash', ['-c', script], { env: bench.env, encoding: 'utf8' }).stdout
      }
      const found = find(`${shell} ${bench.launcher} exec ${bench.image}`)
      expect(found).toBe(find('busybox'))
      expect(found).toContain('./10\n')
    },
  )

  test('finds pipes that do not refuse to wait', () => {
    const { stdout } = sh('for fd in 0 1 2; do grep flags /proc/self/fdinfo/$fd; done')
    const flags = [...stdout.matchAll(/flags:\s*(\d+)/g)].map(([, octal]) => Number.parseInt(octal ?? '', 8))
    expect(flags.map((flag) => flag & 0o4000)).toEqual([0, 0, 0])
  })

  test('has the terminal', () => {
    const command = `${bench.launcher} shell ${bench.image} -c 'tty; test -t 0 && test -t 1 && echo both'`
    const output = execFileSync('script', ['-qec', command, '/dev/null'], { env: bench.env, encoding: 'utf8' })
    expect(output).toMatch(/^\/dev\/pts\/\d+\r\nboth\r\n$/)
  })
})

test('nothing stays mounted or attached', () => expectNothingLeft(bench))
