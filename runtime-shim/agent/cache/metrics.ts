import type { Metrics } from '../../../kube/metrics.ts'
import type { CacheObserver } from './observer.ts'

/** The cache in figures. */
export const createCacheMetrics = (metrics: Metrics): CacheObserver => {
  const requests = metrics.counter(
    'lamina_image_cache_requests_total',
    'Starts that looked for their image, by result.',
    ['result'],
  )
  const images = metrics.gauge('lamina_image_cache_images', 'Images in the cache of the node.')
  const bytes = metrics.gauge('lamina_image_cache_bytes', 'Size of the images in the cache of the node.')
  const collected = metrics.counter('lamina_image_cache_collected_total', 'Images removed for want of room.')
  const corrupt = metrics.counter('lamina_image_cache_corrupt_total', 'Images found not to be as they were made.')
  const fetched = metrics.counter('lamina_image_fetch_bytes_total', 'Bytes of images that came over the network.')
  const conversions = metrics.counter('lamina_image_conversions_total', 'Images fetched and converted, by result.', [
    'result',
  ])
  const seconds = metrics.histogram('lamina_image_conversion_seconds', 'From the request to the whole image.')
  return {
    onRequest: (result) => requests.inc({ result }),
    onFetched: (outcome) => {
      conversions.inc({ result: outcome.result })
      seconds.observe(outcome.seconds)
      fetched.inc({}, outcome.bytes)
    },
    onCollected: () => collected.inc(),
    onCorrupt: () => corrupt.inc(),
    onContents: (contents) => {
      images.set(contents.images)
      bytes.set(contents.bytes)
    },
  }
}
