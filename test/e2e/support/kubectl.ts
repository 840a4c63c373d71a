import { execa } from 'execa'
import * as z from 'zod'

/** What a test needs of an API object; everything else is read by the test's own schema. */
const objectSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    uid: z.string().optional(),
    generation: z.number().optional(),
    finalizers: z.array(z.string()).optional(),
    deletionTimestamp: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
  }),
  spec: z.record(z.string(), z.unknown()).optional(),
  status: z.record(z.string(), z.unknown()).optional(),
})
export type KubeObject = z.infer<typeof objectSchema>

export interface Outcome {
  exitCode: number
  stdout: string
  stderr: string
}

/** kubectl as a user would call it, against one cluster. */
export interface Kubectl {
  /** Runs and returns whatever happened. */
  try(args: string[], options?: { input?: string; timeoutSeconds?: number }): Promise<Outcome>
  /** Runs; throws with kubectl's own words unless it exits with 0. Returns stdout. */
  run(args: string[], options?: { input?: string; timeoutSeconds?: number }): Promise<string>
  apply(...objects: object[]): Promise<string>
  get(namespace: string, kind: string, name: string): Promise<KubeObject>
  list(namespace: string, kind: string, selector?: string): Promise<KubeObject[]>
}

/**
 * @param command program and leading arguments that make a kubectl for the cluster
 */
export const createKubectl = (command: readonly [string, ...string[]], env: NodeJS.ProcessEnv): Kubectl => {
  const [program, ...leading] = command
  const attempt: Kubectl['try'] = async (args, { input, timeoutSeconds = 60 } = {}) => {
    const result = await execa(program, [...leading, ...args], {
      env,
      reject: false,
      timeout: timeoutSeconds * 1000,
      stripFinalNewline: false,
      ...(input === undefined ? { stdin: 'ignore' } : { input }),
    })
    return { exitCode: result.exitCode ?? 255, stdout: result.stdout, stderr: result.stderr }
  }
  const run: Kubectl['run'] = async (args, options) => {
    const { exitCode, stdout, stderr } = await attempt(args, options)
    if (exitCode !== 0) throw new Error(`kubectl ${args.join(' ')}: exit code ${exitCode}\n${stderr}${stdout}`)
    return stdout
  }
  return {
    try: attempt,
    run,
    apply: (...objects) =>
      run(['apply', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }) }),
    get: async (namespace, kind, name) =>
      objectSchema.parse(JSON.parse(await run(['-n', namespace, 'get', kind, name, '-o', 'json']))),
    list: async (namespace, kind, selector) => {
      const output = await run(['-n', namespace, 'get', kind, '-o', 'json', ...(selector ? ['-l', selector] : [])])
      return z.object({ items: z.array(objectSchema) }).parse(JSON.parse(output)).items
    },
  }
}
