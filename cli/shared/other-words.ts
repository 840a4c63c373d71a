import type { Command } from 'commander'

/** Words of other programs, each with what to do instead here. They are in no help and no completion. */
export type OtherWords = Readonly<Record<string, string>>

/** What is thrown for such a word. */
type Refuse = (message: string) => Error

/** @param make a command whose mistakes are told as the program tells them */
export const addOtherVerbs = (
  program: Command,
  verbs: OtherWords,
  { make, refuse }: { make: (name: string) => Command; refuse: Refuse },
): void => {
  for (const [word, advice] of Object.entries(verbs)) {
    const verb = make(word).argument('[words...]').allowUnknownOption().helpOption(false)
    verb.action(() => {
      throw refuse(`"${word}" is not to be had: ${advice}`)
    })
    program.addCommand(verb, { hidden: true })
  }
}

/** @param options as commander has them: `-d, --detach`, `--name <name>` */
export const addOtherOptions = (command: Command, options: OtherWords, refuse: Refuse): void => {
  for (const [flags, advice] of Object.entries(options)) {
    const option = command.createOption(flags).hideHelp()
    command.addOption(option)
    command.on(`option:${option.name()}`, () => {
      throw refuse(`--${option.name()} is not to be had: ${advice}`)
    })
  }
}
