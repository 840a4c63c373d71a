import type { NodeReason } from '../../../kube/node-reasons.ts'
import { DockerConfigError } from '../../image/docker-config.ts'
import { ConversionError, FileError, RegistryError } from '../../image/errors.ts'
import { hasCode } from '../../mount/error-code.ts'
import { Trouble } from '../trouble.ts'

const reasons: Record<RegistryError['kind'], NodeReason> = {
  NotFound: 'ImageNotFound',
  Unauthorized: 'ImageUnauthorized',
  Unreachable: 'ImageUnreachable',
  NoPlatform: 'ImagePlatformNotFound',
  NoSpace: 'ImageNoSpace',
  Refused: 'ImageRefusedByPolicy',
  Invalid: 'ImageReferenceInvalid',
  Other: 'ImagePullFailed',
}

const fileReasons: Record<FileError['kind'], NodeReason> = {
  NotFound: 'ImageNotFound',
  Unauthorized: 'ImageUnauthorized',
  Unreachable: 'ImageUnreachable',
  Mismatch: 'ImageDigestMismatch',
  Other: 'ImagePullFailed',
}

/** What went wrong with an image as a Trouble, where it is one; other errors as they are. */
export const imageTrouble = (error: unknown): unknown => {
  if (error instanceof RegistryError) return new Trouble(reasons[error.kind], error.message, { cause: error })
  if (error instanceof FileError) return new Trouble(fileReasons[error.kind], error.message, { cause: error })
  if (error instanceof ConversionError) return new Trouble('ImageNotConverted', error.message, { cause: error })
  if (error instanceof DockerConfigError) return new Trouble('ImagePullSecretInvalid', error.message, { cause: error })
  if (hasCode(error, 'ENOSPC', 'EDQUOT')) {
    const message = `no space left for the image in the node's cache: ${error instanceof Error ? error.message : ''}`
    return new Trouble('ImageNoSpace', message, { cause: error })
  }
  return error
}
