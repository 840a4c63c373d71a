import { expect, test } from 'vitest'
import { pods } from '../../../kube/resources.ts'
import { defaultLayout } from '../../node/layout.ts'
import { accusedImage } from './accused.ts'

const digest = `sha256:${'a'.repeat(64)}`
const file = `/var/lib/lamina/images/sha256-${'a'.repeat(64)}/image`

const podSaying = (message: string) =>
  pods.parse({
    metadata: { namespace: 'team', name: 'dev' },
    status: { containerStatuses: [{ name: 'main', state: { waiting: { reason: 'CreateContainerError', message } } }] },
  })

test.each([
  [
    `failed to create containerd task: OCI runtime create failed: ${file}: the kernel finds its squashfs damaged (EINVAL)`,
    digest,
  ],
  [`${file} is in use by another mount on this node`, undefined],
  ['/var/lib/lamina/images/../../etc/image: no', undefined],
  ['back-off restarting failed container', undefined],
])('of "%s" it is %s', (message, accused) => {
  expect(accusedImage(defaultLayout, podSaying(message))).toBe(accused)
})
