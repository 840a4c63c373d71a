import { expect } from 'vitest'
import * as z from 'zod'
import type { KindDefinition } from '../../../crds/common.ts'
import { crdOf } from '../../../crds/generate.ts'
import type { Kubectl, Outcome } from './kubectl.ts'
import { inNamespace } from './objects.ts'
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

export const expectRefused = async (verdict: Promise<Outcome>, message: string): Promise<void> => {
  const { exitCode, stderr } = await verdict
  expect(stderr).toContain(message)
  expect(exitCode).not.toBe(0)
}

/** @param namespace asked at each request, so that a test file's fixture can come later */
export const verdictsIn = (kubectl: Kubectl, namespace: () => string) => {
  const judge = (verb: 'create' | 'replace', object: Judged): Promise<Outcome> =>
    kubectl.try([verb, '--dry-run=server', '-o', 'json', '-f', '-'], {
      input: JSON.stringify(inNamespace(namespace(), object)),
    })
  return {
    judge,
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
