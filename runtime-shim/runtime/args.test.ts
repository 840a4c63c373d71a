import { describe, expect, test } from 'vitest'
import { parseArguments } from './args.ts'

const parse = (line: string) => parseArguments(line.split(' '))

describe('the command lines of containerd and CRI-O', () => {
  test('containerd: values after a space', () => {
    expect(
      parse(
        '--root /run/runc/k8s.io --log /b/log.json --log-format json --systemd-cgroup create --bundle /b --pid-file /b/init.pid --console-socket /s --no-pivot abc',
      ),
    ).toEqual({
      subcommand: 'create',
      id: 'abc',
      bundle: '/b',
      pidFile: '/b/init.pid',
      process: undefined,
      log: '/b/log.json',
    })
  })

  test('CRI-O: values after an equals sign', () => {
    expect(parse('--root=/run/runc --systemd-cgroup create --bundle=/b --pid-file=/p abc')).toMatchObject({
      subcommand: 'create',
      id: 'abc',
      bundle: '/b',
    })
  })

  test('exec: the process file, and not the id of a value', () => {
    expect(parse('--root /r exec --process /b/p.json --detach --pid-file /p abc')).toMatchObject({
      subcommand: 'exec',
      id: 'abc',
      process: '/b/p.json',
    })
  })

  test('delete with a flag before the id', () => {
    expect(parse('--root /r delete --force abc')).toMatchObject({ subcommand: 'delete', id: 'abc' })
  })

  test('short options', () => {
    expect(parse('exec -p /b/p.json -d abc')).toMatchObject({ process: '/b/p.json', id: 'abc' })
    expect(parse('create -b /b abc').bundle).toBe('/b')
  })
})

test.each(['../../etc', 'a/b', '.hidden', ''])('"%s" is not taken for a container id', (id) => {
  expect(() => parseArguments(['create', '--bundle', '/b', id])).toThrow(/is not a container id/)
})
