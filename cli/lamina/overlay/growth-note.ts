/** Of the file beside an overlay that says that it is being made larger: cut off, that leaves a file system to be mended. */
export const growthNote = (name: string): string => `.${name}.growing`
