import { randomBytes } from 'node:crypto'
import { describeConditions, isReady } from './conditions.ts'
import type { Kubectl, KubeObject } from './kubectl.ts'
import { inNamespace } from './objects.ts'
import { until } from './until.ts'

/** One test file's own namespace, and what the tests do in it, in a user's words. */
export interface Fixture {
  namespace: string
  apply(...objects: (Record<string, unknown> & { metadata: object })[]): Promise<void>
  get(kind: string, name: string): Promise<KubeObject>
  /** Gone as far as the API server knows, finalizers and all. */
  delete(kind: string, name: string, ...flags: string[]): Promise<void>
  /** Deletes an instance and waits until its pod has gone too, and with it every mount. */
  end(instance: string): Promise<void>
  /** Waits for `Ready=True` of the present generation. */
  ready(kind: string, name: string, seconds?: number): Promise<KubeObject>
  /** Runs a command in the instance by `kubectl exec`; throws unless it exits with 0. Returns stdout without the last newline. */
  exec(instance: string, ...command: string[]): Promise<string>
  /** The same, with whatever happened. */
  tryExec(instance: string, ...command: string[]): Promise<{ exitCode: number; stdout: string; stderr: string }>
  /** Messages of the namespace's Events about the object, oldest first. */
  events(kind: string, name: string): Promise<{ type: string; reason: string; message: string }[]>
  /** Deletes the namespace and waits until it is gone. */
  destroy(): Promise<void>
}

export const createFixture = async (
  kubectl: Kubectl,
  prefix: string,
  { podSecurity = 'baseline' }: { podSecurity?: 'privileged' | 'baseline' | 'restricted' } = {},
): Promise<Fixture> => {
  const namespace = `${prefix}-${randomBytes(3).toString('hex')}`
  await kubectl.apply({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': podSecurity } },
  })

  const describe = async (kind: string, name: string): Promise<string> => {
    const conditions = describeConditions(await kubectl.get(namespace, kind, name))
    const events = await kubectl.try(['-n', namespace, 'events'])
    return `${kind}/${name}:\n${conditions}\n${events.stdout.split('\n').slice(-15).join('\n')}`
  }
  const tryExec: Fixture['tryExec'] = (instance, ...command) =>
    kubectl.try(['-n', namespace, 'exec', instance, '-c', 'main', '--', ...command])

  return {
    namespace,
    tryExec,
    apply: async (...objects) => {
      await kubectl.apply(...objects.map((object) => inNamespace(namespace, object)))
    },
    get: (kind, name) => kubectl.get(namespace, kind, name),
    delete: async (kind, name, ...flags) => {
      await kubectl.run(['-n', namespace, 'delete', kind, name, '--timeout=60s', ...flags], { timeoutSeconds: 70 })
    },
    end: async (instance) => {
      await kubectl.run(['-n', namespace, 'delete', 'instance', instance, '--timeout=60s'], { timeoutSeconds: 70 })
      await kubectl.run(['-n', namespace, 'wait', '--for=delete', `pod/${instance}`, '--timeout=60s'], {
        timeoutSeconds: 70,
      })
    },
    ready: (kind, name, seconds = 60) =>
      until(
        `${kind}/${name} is Ready`,
        async () => {
          const object = await kubectl.get(namespace, kind, name)
          return isReady(object) && object
        },
        { seconds, describe: () => describe(kind, name) },
      ),
    exec: async (instance, ...command) => {
      const { exitCode, stdout, stderr } = await tryExec(instance, ...command)
      if (exitCode !== 0)
        throw new Error(`${command.join(' ')} in ${instance}: exit code ${exitCode}\n${stderr}${stdout}`)
      return stdout.replace(/\n$/, '')
    },
    events: async (kind, name) => {
      const output = await kubectl.run([
        ...['-n', namespace, 'get', 'events', '--sort-by=.metadata.creationTimestamp'],
        ...['--field-selector', `involvedObject.kind=${kind},involvedObject.name=${name}`],
        ...['-o', 'jsonpath={range .items[*]}{.type}{"\\t"}{.reason}{"\\t"}{.message}{"\\n"}{end}'],
      ])
      return output
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => {
          const [type = '', reason = '', message = ''] = line.split('\t')
          return { type, reason, message }
        })
    },
    destroy: async () => {
      await kubectl.run(['delete', 'namespace', namespace, '--timeout=120s'], { timeoutSeconds: 130 })
    },
  }
}
