import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

test('a log line says who, when, how grave, and keeps the object’s name', () => {
  const program = `
    import { createLogger } from ${JSON.stringify(join(import.meta.dirname, 'log.ts'))}
    createLogger('agent').warn({ kind: 'Pod', namespace: 'ns', name: 'dev', err: new Error('broken') }, 'it failed')
    createLogger('agent', 'error').info('not this one')
    process.exit(0)
  `
  const output = execFileSync(process.execPath, ['--input-type=module-typescript', '-e', program], { encoding: 'utf8' })
  expect(JSON.parse(output)).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    component: 'agent',
    kind: 'Pod',
    namespace: 'ns',
    name: 'dev',
    err: expect.objectContaining({ message: 'broken', stack: expect.stringContaining('Error: broken') }),
    msg: 'it failed',
  })
})
