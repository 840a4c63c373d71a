import type { Command } from 'commander'

/**
 * Adds the verb `help [word...]`. commander's own takes a word that there is not for none.
 *
 * @param help made as all verbs of the program are, with their name and description
 */
export const addHelpVerb = (program: Command, help: Command): void => {
  const act = (words: string[]): void => {
    let command = program
    for (const word of words) {
      const next = command.commands.find((each) => each.name() === word)
      command = next ?? command.error(`error: unknown command '${word}'`, { code: 'commander.unknownCommand' })
    }
    command.help()
  }
  program.helpCommand(false)
  program.addCommand(help.argument('[command...]').action(act))
}
