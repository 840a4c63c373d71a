import { expect, test } from 'vitest'
import { createMetrics } from '../../../kube/metrics.ts'
import { createCacheMetrics } from './metrics.ts'

test('the cache in figures, as Prometheus reads them', async () => {
  const metrics = createMetrics()
  const observer = createCacheMetrics(metrics)
  observer.onRequest('miss')
  observer.onRequest('hit')
  observer.onRequest('hit')
  observer.onFetched({ seconds: 2, result: 'success', bytes: 1000 })
  observer.onFetched({ seconds: 1, result: 'error', bytes: 0 })
  observer.onCollected({ digest: 'd', reference: 'r', sizeBytes: 1 })
  observer.onCorrupt({ digest: 'd', reference: undefined, what: 'gone', inUse: false })
  observer.onContents({ images: 3, bytes: 4711 })
  const lines = (await metrics.text()).split('\n').filter((line) => /^lamina_\w+({result="\w+"})? /.test(line))
  expect(lines).toEqual([
    'lamina_image_cache_requests_total{result="miss"} 1',
    'lamina_image_cache_requests_total{result="hit"} 2',
    'lamina_image_cache_images 3',
    'lamina_image_cache_bytes 4711',
    'lamina_image_cache_collected_total 1',
    'lamina_image_cache_corrupt_total 1',
    'lamina_image_fetch_bytes_total 1000',
    'lamina_image_conversions_total{result="success"} 1',
    'lamina_image_conversions_total{result="error"} 1',
    'lamina_image_conversion_seconds_sum 3',
    'lamina_image_conversion_seconds_count 2',
  ])
})
