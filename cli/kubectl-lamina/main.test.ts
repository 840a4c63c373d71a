import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { genInstance } from '../../test/gen/objects.ts'
import { type Answers, apiServer, eventsOf, failure, listOf } from './testing/api-server.ts'
import { type Bundle, bundled } from './testing/bundle.ts'

const instances = '/apis/lamina.dev/v1alpha1/namespaces/team/instances'

let bundle: Bundle
beforeAll(async () => {
  bundle = await bundled()
}, 60_000)
afterAll(() => bundle.remove())

const typed = async (script: string, answers: Answers) => {
  const server = await apiServer(answers)
  const kubeconfig = join(bundle.dir, 'kubeconfig')
  await server.writeKubeconfig(kubeconfig)
  const { exitCode, stderr } = await execa('bash', ['-o', 'pipefail', '-c', script, bundle.program], {
    env: { PATH: bundle.path, KUBECONFIG: kubeconfig },
    reject: false,
    timeout: 30_000,
  })
  await server.close()
  return { exitCode, stderr }
}

test('an error in the words of others moves no cursor', { timeout: 60_000 }, async () => {
  const words = '\x1b[2Jyou may not\r\x1b]0;owned\x07read'
  const { stderr } = await typed('"$0" ps', { [instances]: failure(403, 'Forbidden', words) })
  expect(stderr).toBe('error: not allowed (403): you may not\nread')
})

test('an output that takes no more is told, with an exit code', { timeout: 60_000 }, async () => {
  const told = await typed('"$0" ps > /dev/full', { [instances]: listOf(genInstance('dev')) })
  expect(told).toEqual({
    exitCode: 1,
    stderr: expect.stringMatching(/^error: standard output takes no more: .*ENOSPC/),
  })
})

test('a reader who has had enough ends it without a word', { timeout: 60_000 }, async () => {
  const changed = genInstance('dev', { metadata: { resourceVersion: '2' } })
  const told = await typed('"$0" ps -w | head -n 1', {
    [instances]: listOf(genInstance('dev')),
    [`WATCH ${instances}`]: eventsOf({ type: 'MODIFIED', object: changed }),
  })
  expect(told).toEqual({ exitCode: 0, stderr: '' })
})
