import { isLabel } from '../../kube/names.ts'

/** Where a user most likely works: a service account has a namespace of its own. */
export const homeNamespace = (user: string): string => /^system:serviceaccount:([^:]+):/.exec(user)?.[1] ?? 'default'

/** @param linked what stands behind the `#` of the address */
export const namespaceOf = (linked: string, home: string): { namespace: string; trouble?: string } => {
  if (linked === '') return { namespace: home }
  if (isLabel(linked)) return { namespace: linked }
  const trouble = `"${linked}" is no name of a namespace (lower-case letters, digits and "-"): this is ${home}.`
  return { namespace: home, trouble }
}
