import { expect } from 'vitest'
import * as z from 'zod'
import type { KindDefinition } from '../../../crds/common.ts'
import { crdOf } from '../../../crds/generate.ts'
import type { Kubectl, Outcome } from './kubectl.ts'
import { inNamespace } from './objects.ts'
import { controllerUser } from './operator.ts'
import { expectAllowed } from './requests.ts'

/** What the API server says of objects of our kinds; nothing is stored. */

export type Judged = Record<string, unknown> & { metadata: object }

/** A rule that looks at one object, with what it lets pass and what not. */
export interface Rule {
  message: string
  allowed: Judged[]
  refused: Judged[]
}

/** A rule that compares with what was there. */
export interface UpdateRule extends Rule {
  before: Judged
}

export const labelMessage = (longest: number): string =>
  `metadata.name must be a DNS label of at most ${longest} characters: lower-case letters, digits and "-"`

/** The message about a digest in a status. */
export const digestMessage = 'digest must be sha256: and 64 hexadecimal digits, or sha512: and 128, in lower case'

export const nameMessage = (field: string, kind: string): string =>
  `${field} must be the name of a ${kind}: lower-case letters, digits and "-"`

export const objectNameMessage = (field: string, kind: string): string =>
  `${field} must be the name of a ${kind}: lower-case letters, digits, "-" and "."`

export const pathMessage = (example: string): string =>
  `path is relative to the volume, has names between single slashes, and neither . nor .. nor control characters: ${example}`

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
    expectRule: async (verb: 'create' | 'replace', { message, allowed, refused }: Rule): Promise<void> => {
      for (const object of allowed) await expectAllowed(judge(verb, object))
      for (const object of refused) await expectRefused(judge(verb, object), message)
    },
  }
}

/** Messages of all rules of a kind's schema. */
export const declaredRules = (kind: KindDefinition): Set<string> => {
  const text = JSON.stringify(crdOf(kind))
  const messages = text.matchAll(/"rule":"(?:[^"\\]|\\.)*","message":("(?:[^"\\]|\\.)*")/g)
  return new Set([...messages].map(([, message]) => z.string().parse(JSON.parse(message ?? ''))))
}
