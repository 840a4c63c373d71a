import { randomBytes } from 'node:crypto'
import type { ContainerImage } from '../../../crds/container-image.ts'
import type { Instance } from '../../../crds/instance.ts'
import type { PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import { containerImages, instances, persistentOverlays } from '../../../kube/resources.ts'
import type { Connection } from '../connection.ts'
import type { OverlayFlag } from '../flags.ts'
import type { ImageSource } from './target.ts'

/** Objects as this command line makes them. */

const madeBy = { 'app.kubernetes.io/created-by': 'kubectl-lamina' } as const
/** On instances that go when their command has ended. */
export const throwAwayLabel = 'lamina.dev/throw-away'

export interface ImageOptions {
  pullSecrets?: readonly string[] | undefined
  refreshSeconds?: number | undefined
  prefetch?: boolean | undefined
}

export const imageBody = (
  name: string,
  source: ImageSource,
  { pullSecrets = [], refreshSeconds, prefetch }: ImageOptions = {},
) => {
  const secrets = pullSecrets.length > 0 ? { pullSecrets: pullSecrets.map((secret) => ({ name: secret })) } : {}
  const from =
    source.kind === 'registry'
      ? { registry: { image: source.image, ...secrets } }
      : { file: { url: source.url, ...(source.sha256 === undefined ? {} : { sha256: source.sha256 }), ...secrets } }
  return {
    metadata: { name, labels: madeBy },
    spec: {
      source: from,
      ...(refreshSeconds === undefined ? {} : { refresh: { policy: 'Interval', periodSeconds: refreshSeconds } }),
      ...(prefetch ? { prefetch: {} } : {}),
    },
  }
}

const overlayBody = (name: string, spec: object) => ({ metadata: { name, labels: madeBy }, spec })

export interface InstanceOptions {
  image: string
  overlays: readonly OverlayFlag[]
  env?: readonly { name: string; value: string }[] | undefined
  workingDir?: string | undefined
  isThrowAway: boolean
}

/** One that nobody uses any more is stopped by itself, should we not come to delete it. */
const forgottenSeconds = 3600

const instanceBody = (name: string, { image, overlays, env = [], workingDir, isThrowAway }: InstanceOptions) => ({
  metadata: { name, labels: { ...madeBy, ...(isThrowAway ? { [throwAwayLabel]: 'true' } : {}) } },
  spec: {
    imageRef: { name: image },
    ...(overlays.length > 0 ? { overlays } : {}),
    ...(env.length > 0 ? { env } : {}),
    ...(workingDir === undefined ? {} : { workingDir }),
    ...(isThrowAway ? { idleTimeoutSeconds: forgottenSeconds } : {}),
  },
})

/** Five letters and digits. */
export const randomWord = (): string => Number.parseInt(randomBytes(5).toString('hex'), 16).toString(36).slice(-5)

type Where = Pick<Connection, 'client' | 'namespace'>

export const createImage = (
  { client, namespace }: Where,
  ...what: Parameters<typeof imageBody>
): Promise<ContainerImage> => client.create(containerImages, imageBody(...what), namespace)

export const createOverlay = ({ client, namespace }: Where, name: string, spec: object): Promise<PersistentOverlay> =>
  client.create(persistentOverlays, overlayBody(name, spec), namespace)

export const createInstance = (
  { client, namespace }: Where,
  name: string,
  options: InstanceOptions,
): Promise<Instance> => client.create(instances, instanceBody(name, options), namespace)
