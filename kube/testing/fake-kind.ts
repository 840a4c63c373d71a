import * as z from 'zod'
import { objectMetadataSchema, type Resource } from '../resource.ts'

/** A kind of our own for tests: `color` must be a string, or the object is not readable. */
const widgetSchema = z.object({ metadata: objectMetadataSchema, color: z.string() })
export type Widget = z.infer<typeof widgetSchema>

export const widgets: Resource<Widget> = {
  group: 'test.lamina.dev',
  version: 'v1',
  plural: 'widgets',
  kind: 'Widget',
  namespaced: true,
  parse: (json) => widgetSchema.parse(json),
}

/** A widget as the API server would hand it out. */
export const widgetJson = (name: string, resourceVersion: number, color: unknown = 'red', uid = `uid-${name}`) => ({
  metadata: { namespace: 'ns', name, uid, resourceVersion: String(resourceVersion) },
  color,
})

export const widget = (...args: Parameters<typeof widgetJson>): Widget => widgets.parse(widgetJson(...args))
