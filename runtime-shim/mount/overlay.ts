/**
 * Options of an overlay mount (Documentation/filesystems/overlayfs.rst). The
 * features are named although they are off: the kernel's build-time defaults
 * would otherwise leak into the format of an image.
 */
export const overlayOptions = ({
  lowers,
  upper,
  work,
  volatile,
  mountLabel,
}: {
  /** Highest first. */
  lowers: readonly string[]
  upper: string
  work: string
  /** No sync to the upper file system: for layers that are thrown away. */
  volatile: boolean
  /** SELinux label of the container's files; empty for none. */
  mountLabel: string
}): string =>
  [
    `lowerdir=${lowers.join(':')}`,
    `upperdir=${upper}`,
    `workdir=${work}`,
    'index=off',
    'metacopy=off',
    'redirect_dir=off',
    'nfs_export=off',
    'uuid=off',
    ...(volatile ? ['volatile'] : []),
    ...(mountLabel === '' ? [] : [`context="${mountLabel}"`]),
  ].join(',')
