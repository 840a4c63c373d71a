import type { KubeConfig } from '@kubernetes/client-node'
import * as z from 'zod'
import { apiErrorOf, hasReason, isAbsent } from './api-error.ts'
import { apiVersionOf, type KubeObject, type ObjectKey, type Resource } from './resource.ts'
import { createTransport, type Transport, type TransportOptions } from './transport.ts'

export { ApiError, hasReason } from './api-error.ts'
export { loadConfig } from './config.ts'

/** Which objects of a kind; all of the cluster when nothing is said. */
export interface Selection {
  namespace?: string | undefined
  labelSelector?: string | undefined
  fieldSelector?: string | undefined
}

/** Part of a list, unparsed. */
export interface ListPage {
  items: unknown[]
  /** The list is complete up to here. */
  resourceVersion: string
  /** Token of the next page. */
  continue?: string | undefined
}

export interface WatchOptions extends Selection {
  /** What comes is newer than this. */
  resourceVersion: string
  /** First come all objects that are there, as ADDED, and a bookmark that {@link endsInitialEvents}; no version is given then. */
  sendInitialEvents?: boolean
  /** When the server ends the watch. */
  timeoutSeconds: number
}

/** One line of a watch. Of a BOOKMARK's object only `metadata.resourceVersion` is there, and at the end of the initial events an annotation. */
export interface WatchEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'
  object: unknown
}

/** A rule that the write must find true, or it fails with reason Conflict. */
export interface Preconditions {
  uid?: string | undefined
  resourceVersion?: string | undefined
}

/**
 * The API server, one request a call. Answers other than those named here are
 * an {@link ApiError}; a server that does not answer within 30 s, an Error.
 */
export interface KubeClient {
  /** The object as it is now; undefined when it is not there. */
  get<T extends KubeObject>(resource: Resource<T>, key: ObjectKey): Promise<T | undefined>
  /** All that are there, read in pages of 500. */
  list<T extends KubeObject>(resource: Resource<T>, selection?: Selection): Promise<T[]>
  /** @param body without apiVersion and kind: they are the resource's */
  create<T extends KubeObject>(
    resource: Resource<T>,
    body: object,
    namespace: string,
    options?: {
      /** The API server judges it, and stores nothing. */
      dryRun?: boolean
    },
  ): Promise<T>
  /**
   * Server-side apply: fields that `fieldManager` set before and that are not in
   * `body` are removed. With force, the default, fields of others are taken over;
   * without, they are a Conflict.
   *
   * @param body the whole intent; `metadata.name` and `.namespace` say which object, `.resourceVersion` is a precondition
   */
  apply<T extends KubeObject>(
    resource: Resource<T>,
    body: object,
    options: { fieldManager: string; subresource?: 'status'; force?: boolean },
  ): Promise<T>
  /**
   * Undefined when the object is not there.
   *
   * @param patch JSON merge patch; another `metadata.resourceVersion` than the object's is a Conflict, another `metadata.uid` is Invalid
   */
  mergePatch<T extends KubeObject>(
    resource: Resource<T>,
    key: ObjectKey,
    patch: object,
    options?: { subresource?: 'status' },
  ): Promise<T | undefined>
  /** False when it was not there. */
  delete(resource: Resource<KubeObject>, key: ObjectKey, options?: Preconditions): Promise<boolean>
  /** @throws ApiError with reason Expired when the token of the page is too old */
  listPage(
    resource: Resource<KubeObject>,
    options: Selection & { limit?: number; continue?: string | undefined },
  ): Promise<ListPage>
  /**
   * Ends when the server ends it. Silence has no time limit: the reader keeps watch over it.
   *
   * @throws the signal's reason when that is aborted; ApiError with reason Expired or Gone when `resourceVersion` is too old,
   *   with Invalid or BadRequest when the server does not know `sendInitialEvents`
   */
  watch(resource: Resource<KubeObject>, options: WatchOptions, signal: AbortSignal): AsyncIterable<WatchEvent>
}

const pageSize = 500

const namedSchema = z.object({ metadata: z.object({ name: z.string(), namespace: z.string().default('') }) })
const listSchema = z.object({
  metadata: z.object({ resourceVersion: z.string().default(''), continue: z.string().optional() }),
  items: z
    .array(z.unknown())
    .nullish()
    .transform((items) => items ?? []),
})
const watchLineSchema = z.object({ type: z.string(), object: z.unknown() })
const watchTypes = z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'])

const query = (values: Record<string, string | number | boolean | undefined>): string => {
  const given = Object.entries(values).flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [[name, String(value)]],
  )
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`
}

const collectionPath = ({ group, version, plural, namespaced }: Resource<KubeObject>, namespace: string): string => {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`
  return namespaced && namespace !== ''
    ? `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`
    : `${root}/${plural}`
}

const objectPath = (resource: Resource<KubeObject>, { namespace, name }: ObjectKey, subresource?: string): string => {
  // Without the namespace the path would be that of another thing.
  if (name === '' || (resource.namespaced && namespace === '')) {
    throw new Error(
      `${resource.kind} "${namespace}/${name}": it takes a name${resource.namespaced ? ' and a namespace' : ''}`,
    )
  }
  const path = `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}`
  return subresource ? `${path}/${subresource}` : path
}

/** @throws Error that names the object, and says in what it is otherwise */
export const parseObject = <T extends KubeObject>(resource: Resource<T>, json: unknown): T => {
  try {
    return resource.parse(json)
  } catch (error) {
    const named = namedSchema.safeParse(json)
    const name = named.success ? `${named.data.metadata.namespace}/${named.data.metadata.name}` : 'without a name'
    const why = error instanceof z.ZodError ? z.prettifyError(error) : String(error)
    throw new Error(`${resource.kind} ${name} is not as this version of Lamina knows it: ${why}`, { cause: error })
  }
}

const absentAs = async <T, U>(answer: Promise<T>, absent: U): Promise<T | U> => {
  try {
    return await answer
  } catch (error) {
    if (isAbsent(error)) return absent
    throw error
  }
}

/** All pages of a list, unparsed; from the start, in one, when it took so long that its state has been compacted. */
export const listAll = async (
  client: Pick<KubeClient, 'listPage'>,
  resource: Resource<KubeObject>,
  selection: Selection,
): Promise<ListPage> => {
  const items: unknown[] = []
  for (let token: string | undefined; ; ) {
    let page: ListPage
    try {
      page = await client.listPage(resource, { ...selection, limit: pageSize, continue: token })
    } catch (error) {
      if (token === undefined || !hasReason(error, 'Expired', 'Gone')) throw error
      return client.listPage(resource, selection)
    }
    for (const item of page.items) items.push(item)
    token = page.continue || undefined
    if (token === undefined) return { items, resourceVersion: page.resourceVersion }
  }
}

const clientOver = (transport: Transport): KubeClient => {
  const listPage: KubeClient['listPage'] = async (resource, { namespace = '', ...options }) => {
    const path = `${collectionPath(resource, namespace)}${query(options)}`
    const { items, metadata } = listSchema.parse(await transport.send({ method: 'GET', path }))
    return { items, resourceVersion: metadata.resourceVersion, continue: metadata.continue }
  }
  const typed = (resource: Resource<KubeObject>, body: object) => ({
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    ...body,
  })

  return {
    get: async (resource, key) => {
      const json = await absentAs(transport.send({ method: 'GET', path: objectPath(resource, key) }), undefined)
      return json === undefined ? undefined : parseObject(resource, json)
    },

    list: async (resource, selection = {}) => {
      const { items } = await listAll({ listPage }, resource, selection)
      return items.map((item) => parseObject(resource, item))
    },

    create: async (resource, body, namespace, { dryRun = false } = {}) => {
      const json = await transport.send({
        method: 'POST',
        path: `${collectionPath(resource, namespace)}${query({ dryRun: dryRun ? 'All' : undefined })}`,
        body: { contentType: 'application/json', json: typed(resource, body) },
      })
      return parseObject(resource, json)
    },

    apply: async (resource, body, { fieldManager, subresource, force = true }) => {
      const { metadata } = namedSchema.parse(body)
      const json = await transport.send({
        method: 'PATCH',
        path: `${objectPath(resource, metadata, subresource)}${query({ fieldManager, force })}`,
        body: { contentType: 'application/apply-patch+yaml', json: typed(resource, body) },
      })
      return parseObject(resource, json)
    },

    mergePatch: async (resource, key, patch, { subresource } = {}) => {
      const sent = transport.send({
        method: 'PATCH',
        path: objectPath(resource, key, subresource),
        body: { contentType: 'application/merge-patch+json', json: patch },
      })
      const json = await absentAs(sent, undefined)
      return json === undefined ? undefined : parseObject(resource, json)
    },

    delete: async (resource, key, { uid, resourceVersion } = {}) => {
      const sent = transport.send({
        method: 'DELETE',
        path: objectPath(resource, key),
        body: {
          contentType: 'application/json',
          json: {
            apiVersion: 'v1',
            kind: 'DeleteOptions',
            preconditions: { uid, resourceVersion },
          },
        },
      })
      return (await absentAs(sent, undefined)) !== undefined
    },

    listPage,

    watch: async function* (resource, { namespace = '', ...options }, signal) {
      const initial = options.sendInitialEvents ? { resourceVersionMatch: 'NotOlderThan' } : {}
      const asked = { ...options, ...initial, watch: true, allowWatchBookmarks: true }
      const path = `${collectionPath(resource, namespace)}${query(asked)}`
      for await (const line of transport.lines(path, signal)) {
        const { type, object } = watchLineSchema.parse(JSON.parse(line))
        if (type === 'ERROR') throw apiErrorOf(`WATCH ${resource.plural}`, 500, object)
        yield { type: watchTypes.parse(type), object }
      }
    },
  }
}

export const createClient = (config: KubeConfig, options: TransportOptions): KubeClient =>
  clientOver(createTransport(config, options))
