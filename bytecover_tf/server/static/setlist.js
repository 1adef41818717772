import { make } from "./dom.js";

export function setlistView(main) {
  main.append(make("h1", {}, "setlist"));
}
