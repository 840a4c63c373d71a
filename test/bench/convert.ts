import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { convertImage } from '../../runtime-shim/image/convert.ts'
import { resolveImage } from '../../runtime-shim/image/skopeo.ts'
import type { Cluster, Report } from '../cluster/cluster.ts'
import { registriesConfOf } from '../cluster/images.ts'
import { median, milliseconds } from './statistics.ts'

const rounds = 5

/** Debian in the cluster's registry → a mountable squashfs. */
export const benchConvert = async (cluster: Cluster, report: Report): Promise<void> => {
  process.env.CONTAINERS_REGISTRIES_CONF = registriesConfOf(cluster)
  const dir = await mkdtemp(join(tmpdir(), 'lamina-convert-'))
  try {
    const { host, user, password } = cluster.registry
    const authFile = join(dir, 'auth.json')
    const auth = Buffer.from(`${user}:${password}`).toString('base64')
    await writeFile(authFile, JSON.stringify({ auths: { [host]: { auth } } }), { mode: 0o600 })
    const access = { authFile, scratchDir: dir }
    const signal = AbortSignal.timeout(120_000)
    const { reference } = await resolveImage(`${host}/library/debian:12`, undefined, access, signal)
    const target = join(dir, 'root.squashfs')
    const times: number[] = []
    for (let round = 0; round < rounds; round++) {
      await rm(target, { force: true })
      const started = performance.now()
      await convertImage({ reference, access, target, scratchDir: dir, signal, onProgress: () => {} })
      times.push(performance.now() - started)
    }
    const size = ((await stat(target)).size / 2 ** 20).toFixed(0)
    report(
      `registry → squashfs of ${size} MiB, median of ${rounds}: ${milliseconds(median(times))} (aim 1500 for 170 MB)`,
    )
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
