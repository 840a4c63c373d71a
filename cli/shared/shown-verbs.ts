import type { Command } from 'commander'

/** Those that help shows: none that is ours to call, or that is another program's word. */
export const shownVerbs = (command: Command): Command[] => {
  const shown = command.createHelp().visibleCommands(command)
  return command.commands.filter((each) => shown.includes(each))
}
