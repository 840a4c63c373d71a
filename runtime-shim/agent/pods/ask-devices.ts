import type { Clock } from '../../../kube/clock.ts'
import type { DeviceNumbers } from '../../mount/parts.ts'
import { type BlockVolume, hasExt4 } from '../../node/block-device.ts'

/** Which of these block volumes are mounted. */
export type AskDevices = (volumes: readonly BlockVolume[]) => Promise<DeviceNumbers[]>

const answersWithinMs = 5_000

/**
 * Asks sysfs, and where that knows of no mount the device itself, by `askOne`: the
 * kernel's mount is over only when it lets go of that. One that does not answer
 * counts as mounted, and is not asked once more meanwhile.
 *
 * @param askOne may never answer: a dead network volume stops whoever opens it
 */
export const createDeviceAsker = (
  clock: Pick<Clock, 'setTimeout'>,
  askOne: (volume: BlockVolume) => Promise<boolean>,
): AskDevices => {
  const underWay = new Map<string, Promise<boolean>>()

  const begin = (key: string, volume: BlockVolume): Promise<boolean> => {
    const asked = askOne(volume).finally(() => underWay.delete(key))
    underWay.set(key, asked)
    return asked
  }

  const isMounted = async (volume: BlockVolume): Promise<boolean> => {
    if (hasExt4(volume.device)) return true
    const key = `${volume.device.major}:${volume.device.minor}`
    let cancel = (): void => {}
    const late = new Promise<boolean>((resolve) => {
      cancel = clock.setTimeout(() => resolve(true), answersWithinMs)
    })
    try {
      return await Promise.race([underWay.get(key) ?? begin(key, volume), late])
    } finally {
      cancel()
    }
  }

  return async (volumes) => {
    const mounted = await Promise.all(volumes.map(isMounted))
    return volumes.filter((_, index) => mounted[index]).map(({ device }) => device)
  }
}
