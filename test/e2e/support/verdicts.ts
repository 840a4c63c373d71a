import { expect } from 'vitest'
import * as z from 'zod'
import type { KindDefinition } from '../../../crds/common.ts'
import { crdOf } from '../../../crds/generate.ts'
import { digestMessage, type Judged, type Rule } from '../wrong-manifests/rule.ts'
import type { Kubectl, Outcome } from './kubectl.ts'
import { inNamespace } from './objects.ts'
import { controllerUser } from './operator.ts'
import { expectAllowed } from './requests.ts'

/** What the API server says of objects of our kinds; nothing is stored. */

export const expectRefused = async (verdict: Promise<Outcome>, message: string): Promise<void> => {
  const { exitCode, stderr } = await verdict
  expect(stderr).toContain(message)
  expect(exitCode).not.toBe(0)
}

/** @param namespace asked at each request, so that a test file's fixture can come later */
export const verdictsIn = (kubectl: Kubectl, namespace: () => string) => {
  const judge = async (verb: 'create' | 'replace', object: Judged): Promise<Outcome> => {
    const input = JSON.stringify(inNamespace(namespace(), object))
    const outcome = await kubectl.try([verb, '--dry-run=server', '-o', 'json', '-f', '-'], { input })
    // kubectl reads the object first, and the controller may write its status in between.
    return outcome.stderr.includes('the object has been modified') ? judge(verb, object) : outcome
  }
  /** Of an object that is there, as the controller would write it. */
  const judgeStatus = (resource: string, name: string, status: object): Promise<Outcome> =>
    kubectl.try([
      ...['-n', namespace(), '--as', controllerUser, '--as-group', 'system:masters', 'patch', resource, name],
      ...['--subresource=status', '--type=merge', '--dry-run=server', '-p', JSON.stringify({ status })],
    ])
  return {
    judge,
    judgeStatus,
    /** That the status takes digests alone. */
    expectDigest: async (resource: string, name: string, statusWith: (digest: string) => object): Promise<void> => {
      const verdict = (digest: string) => judgeStatus(resource, name, statusWith(digest))
      await expectAllowed(verdict(`sha256:${'a'.repeat(64)}`))
      await expectAllowed(verdict(`sha512:${'0'.repeat(128)}`))
      await expectRefused(verdict(`sha256:${'A'.repeat(64)}`), digestMessage)
      await expectRefused(verdict('latest'), digestMessage)
    },
    expectRule: async (verb: 'create' | 'replace', { message, at, allowed, refused }: Rule): Promise<void> => {
      for (const object of allowed) await expectAllowed(judge(verb, object))
      const [first, ...others] = refused.map((object) => judge(verb, object))
      expect((await first)?.stderr).toContain(` is invalid: ${at}: ${message}\n`)
      for (const verdict of others) await expectRefused(verdict, message)
    },
  }
}

/** Messages of all rules of a kind's schema. */
export const declaredRules = (kind: KindDefinition): Set<string> => {
  const text = JSON.stringify(crdOf(kind))
  const messages = text.matchAll(/"rule":"(?:[^"\\]|\\.)*","message":("(?:[^"\\]|\\.)*")/g)
  return new Set([...messages].map(([, message]) => z.string().parse(JSON.parse(message ?? ''))))
}
