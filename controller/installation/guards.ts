import * as z from 'zod'
import { type KubeObject, objectMetadataSchema, type Resource } from '../../kube/resource.ts'

/** The admission policies that security rests on, of which only this much is read. */

const group = { group: 'admissionregistration.k8s.io', version: 'v1', namespaced: false } as const

const policySchema = z.object({ metadata: objectMetadataSchema })
export type AdmissionPolicy = z.infer<typeof policySchema>

const bindingSchema = z.object({
  metadata: objectMetadataSchema,
  spec: z.object({
    policyName: z.string(),
    validationActions: z.array(z.string()).default([]),
    /** Narrows the policy to a part of what it is about. */
    matchResources: z.unknown().optional(),
  }),
})
export type AdmissionPolicyBinding = z.infer<typeof bindingSchema>

const resource = <T extends KubeObject>(plural: string, kind: string, schema: z.ZodType<T>): Resource<T> => ({
  ...group,
  plural,
  kind,
  parse: (json) => schema.parse(json),
})

export const admissionPolicies = resource('validatingadmissionpolicies', 'ValidatingAdmissionPolicy', policySchema)
export const admissionPolicyBindings = resource(
  'validatingadmissionpolicybindings',
  'ValidatingAdmissionPolicyBinding',
  bindingSchema,
)

const denies = ({ spec }: AdmissionPolicyBinding): boolean =>
  spec.validationActions.includes('Deny') && spec.matchResources === undefined

/** Those of the expected policies that are not there, or that nothing binds so that they deny all that they are about. */
export const missingGuards = (
  expected: readonly string[],
  policies: readonly AdmissionPolicy[],
  bindings: readonly AdmissionPolicyBinding[],
): string[] => {
  const present = new Set(policies.map(({ metadata }) => metadata.name))
  const bound = new Set(bindings.filter(denies).map(({ spec }) => spec.policyName))
  return expected.filter((name) => !present.has(name) || !bound.has(name))
}
