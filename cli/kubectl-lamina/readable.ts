import { type KubeClient, listAll, parseObject } from '../../kube/client.ts'
import type { KubeObject, Resource } from '../../kube/resource.ts'

/** Those of the objects that this version can read. */
export type Readable = <T extends KubeObject>(resource: Resource<T>, items: readonly unknown[]) => T[]

/** @param tell is told of every other object, once */
export const createReadable = (tell: (words: string) => void): Readable => {
  const told = new Set<string>()
  const leaveOut = (error: unknown): [] => {
    const words = `left out: ${error instanceof Error ? error.message : String(error)}`
    if (!told.has(words)) tell(words)
    told.add(words)
    return []
  }
  return (resource, items) =>
    items.flatMap((item) => {
      try {
        return [parseObject(resource, item)]
      } catch (error) {
        return leaveOut(error)
      }
    })
}

/** A client for whose lists one object of a newer version is no end of all. */
export const withReadableLists = (client: KubeClient, readable: Readable): KubeClient => ({
  ...client,
  list: async (resource, selection = {}) => readable(resource, (await listAll(client, resource, selection)).items),
})
