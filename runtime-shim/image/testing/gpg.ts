import { execFile } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A key ring of its own, with which skopeo signs images. */
export interface KeyRing {
  /** The public key, armored. */
  publicKey: string
  /** To be in the environment of `skopeo copy --sign-by`. */
  environment: { GNUPGHOME: string }
  signer: string
  close(): Promise<void>
}

/** @param home a directory to make; a short path, for it holds a socket */
export const createKeyRing = async (home: string): Promise<KeyRing> => {
  await mkdir(home, { mode: 0o700 })
  const environment = { GNUPGHOME: home }
  const signer = 'team@example.com'
  const options = { env: { ...process.env, ...environment } }
  const batch = ['--batch', '--pinentry-mode', 'loopback', '--passphrase', '']
  await run('gpg', [...batch, '--quick-generate-key', signer, 'ed25519', 'sign'], options)
  const publicKey = `${home}/public.asc`
  await run('gpg', [...batch, '--armor', '--export', '--output', publicKey, signer], options)
  return {
    environment,
    signer,
    publicKey: await readFile(publicKey, 'utf8'),
    close: async () => {
      await run('gpgconf', ['--kill', 'gpg-agent'], options)
    },
  }
}
