import { make } from "./dom.js";

export function reviewView(main) {
  main.append(make("h1", {}, "review"));
}
