create table artworks (
    id bigint generated always as identity primary key,
    title text not null,
    artist text not null,
    year integer not null
);
