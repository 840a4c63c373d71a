/**
 * Digest of an image manifest, of the two algorithms that OCI registers
 * (image-spec descriptor.md). It becomes a directory's name on the nodes.
 */
export const digestPattern = /^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/

export const isDigest = (text: string): boolean => digestPattern.test(text)
