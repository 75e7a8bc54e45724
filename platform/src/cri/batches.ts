/** Lists as streams (CRI's feature CRIListStreaming): the same items in messages of a few hundred, none empty. */

const itemsPerMessage = 200;

export async function* inBatches<Answer, Item, Message>(
  ask: () => Promise<Answer>,
  itemsOf: (answer: Answer) => Item[] | undefined,
  messageOf: (items: Item[]) => Message,
): AsyncIterable<Message> {
  const items = itemsOf(await ask()) ?? [];
  for (let at = 0; at < items.length; at += itemsPerMessage) yield messageOf(items.slice(at, at + itemsPerMessage));
}
