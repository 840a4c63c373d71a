import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { inNamespace, persistentOverlay } from '../../test/e2e/support/objects.ts'
import { atTerminal, root, type Stage, withNamespace } from './stage.ts'
import { drawFilm } from './terminal/draw.ts'
import { develop } from './terminal/film.ts'
import { record } from './terminal/record.ts'
import { readTranscript } from './terminal/transcript.ts'

const namespace = 'pictures'

/** `npm run build` has made them. */
const programs = [join(root, 'dist'), join(root, 'dist-cli/kubectl-lamina')]

const transcriptOf = (name: string): string => join(import.meta.dirname, `terminal/transcripts/${name}.yaml`)

const drawRecording = async (stage: Stage, name: string): Promise<string> => {
  const transcript = readTranscript(transcriptOf(name))
  const takes = await atTerminal(stage, { namespace, programs }, async (directory, env) => {
    for (const [path, text] of Object.entries(transcript.files)) {
      await mkdir(dirname(join(directory, path)), { recursive: true })
      await writeFile(join(directory, path), text)
    }
    return record(transcript, { directory, env })
  })
  return drawFilm(await develop(transcript, takes), transcript.title)
}

export const recordLamina = (stage: Stage): Promise<string> =>
  withNamespace(stage, namespace, () => drawRecording(stage, 'lamina'))

export const recordKubectl = (stage: Stage): Promise<string> =>
  withNamespace(stage, namespace, () => drawRecording(stage, 'kubectl'))

/** With an overlay and its volume there already: how long a volume takes is not what it shows. */
export const recordPlugin = (stage: Stage): Promise<string> =>
  withNamespace(stage, namespace, async () => {
    await stage.kubectl.apply(inNamespace(namespace, persistentOverlay('dev', { size: '256Mi' })))
    return drawRecording(stage, 'kubectl-lamina')
  })
