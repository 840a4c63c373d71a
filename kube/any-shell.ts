/** A shell of an image, as a command: the image may have bash or not. */
export const anyShell = ['sh', '-c', 'command -v bash >/dev/null 2>&1 && exec bash; exec sh']
